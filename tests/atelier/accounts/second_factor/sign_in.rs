//! Enrolment and sign-in with codes: each step once, whoever tries, and a lock that leaves sessions alone.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{CONFIRM, ENROL, challenge, code_now, complete, factor, guarded, much_later, refused};
use crate::harness::TestStudio;
use crate::harness::peers::ask;

#[tokio::test(flavor = "multi_thread")]
async fn v11_an_authenticator_is_enrolled_and_signing_in_takes_its_code() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let enrolled = studio.mutate(Some(&person.token), ENROL, json!({})).await;
    let (secret, uri) = (enrolled["secret"].as_str().expect("once"), enrolled["otpauthUri"].as_str().expect("once"));
    // The other side reads from the address what we meant, and comes to the same code.
    let read = ask("totp.py", &["read", uri, "59"], "").await;
    let at_59 = ask("totp.py", &["code", secret, "59"], "").await;
    assert_eq!(read, format!("atelier\n{}\n30\n6\nsha1\n{at_59}", person.email));
    assert_eq!(factor(&studio, &person.token).await, (false, 0), "nothing is on before a code");
    let wrong = studio.graphql(Some(&person.token), CONFIRM, json!({ "code": "000000" })).await;
    assert_eq!(wrong["confirmTwoFactor"]["userErrors"][0]["code"], json!("INVALID_CODE"));
    studio.sign_in(&person.email, crate::harness::studio::PASSWORD).await;
    let code = code_now(&studio, secret).await;
    let confirmed = studio.mutate(Some(&person.token), CONFIRM, json!({ "code": code })).await;
    assert_eq!(confirmed["recoveryCodes"].as_array().map(Vec::len), Some(10));
    assert_eq!(factor(&studio, &person.token).await, (true, 10));
    // The code that confirmed is used up (sec.T1).
    let waiting = challenge(&studio, &person.email).await;
    assert_eq!(refused(&complete(&studio, &waiting, &code).await), "INVALID_CODE");
    much_later(&studio).await;
    let code = code_now(&studio, secret).await;
    let signed_in = complete(&studio, &waiting, &code).await;
    let token = signed_in["token"].as_str().unwrap_or_else(|| panic!("no session: {signed_in}"));
    assert_eq!(factor(&studio, token).await, (true, 10));
    // The challenge is used up as well.
    much_later(&studio).await;
    assert_eq!(refused(&complete(&studio, &waiting, &code).await), "INVALID_TOKEN");
    let again = studio.graphql(Some(&person.token), ENROL, json!({})).await;
    assert_eq!(again["enrolTwoFactor"]["userErrors"][0]["code"], json!("NOT_POSSIBLE_NOW"), "it is on already");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_counts_however_it_was_pasted_and_from_a_clock_that_is_a_step_off() {
    let studio = TestStudio::start().await;
    let mut ada = guarded(&studio, "ada").await;
    let pasted = |code: &str, between: &str| format!("\u{a0}{}{between}{}\r\n", &code[..3], &code[3..]);
    for (seconds, between) in [(0, " "), (0, "\u{a0}"), (0, "\u{2011}"), (-30, "-"), (30, "\u{202f}")] {
        let waiting = challenge(&studio, &ada.person.email).await;
        let at = (studio.node.studio.write.now().timestamp() + seconds).to_string();
        let code = ask("totp.py", &["code", &ada.secret, &at], "").await;
        let signed_in = complete(&studio, &waiting, &pasted(&code, between)).await;
        assert!(signed_in["token"].is_string(), "{seconds} {between:?}: {signed_in}");
        much_later(&studio).await;
    }
    for between in ["", " ", "\u{a0}", "\u{2013}", "\u{202f}\t"] {
        let waiting = challenge(&studio, &ada.person.email).await;
        let code = ada.recovery_codes.pop().expect("ten of them").replace('-', between).to_uppercase();
        let signed_in = complete(&studio, &waiting, &format!(" {code}\n")).await;
        assert!(signed_in["token"].is_string(), "{between:?}: {signed_in}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t1_of_fifty_submissions_of_one_code_exactly_one_wins() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    // Five challenges of five tries at most are alive for an account.
    let mut challenges = Vec::new();
    for _ in 0..5 {
        challenges.push(challenge(&studio, &ada.person.email).await);
    }
    let code = code_now(&studio, &ada.secret).await;
    let tries = (0..50).map(|n| complete(&studio, &challenges[n % 5], &code));
    let answers = join_all(tries).await;
    let won = answers.iter().filter(|answer| answer["token"].is_string()).count();
    assert_eq!(won, 1, "{answers:?}");
    assert_eq!(studio.events_named("SessionStarted").await, 2, "and the newcomer's own");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t1_the_step_is_used_up_in_the_row_whoever_comes_first() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let account = studio.account(&ada.person).await;
    let (seed, last): (String, i64) = sqlx::query_as("select seed, last_step from credentials.second_factors")
        .fetch_one(&studio.database.pool)
        .await
        .expect("a row");
    let seed = atelier_domain::Sealed::from_text(seed);
    let accept =
        |step| atelier_vault::credential_rows::second_factor::accept(&studio.database.pool, account, &seed, step);
    let wins = join_all((0..50).map(|_| accept(last + 7))).await;
    assert_eq!(wins.into_iter().filter(|win| *win.as_ref().expect("the rows answer")).count(), 1);
    assert!(!accept(last + 6).await.expect("the rows answer"), "an older step never counts again");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t3_five_wrong_codes_lock_the_factor_and_nothing_else() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let right = code_now(&studio, &ada.secret).await;
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let first = challenge(&studio, &ada.person.email).await;
    for _ in 0..5 {
        assert_eq!(refused(&complete(&studio, &first, wrong).await), "INVALID_CODE");
    }
    assert_eq!(refused(&complete(&studio, &first, &right).await), "INVALID_TOKEN", "a challenge has five tries");
    let second = challenge(&studio, &ada.person.email).await;
    let locked = complete(&studio, &second, &right).await;
    assert_eq!(refused(&locked), "RATE_LIMITED", "the right code is not looked at");
    let wait = locked["userErrors"][0]["retryAfter"].as_i64().expect("a time");
    assert!((1..=60).contains(&wait), "{wait}");
    // The account's session goes on, and its owner has recovery codes, which nobody guesses.
    assert_eq!(factor(&studio, &ada.person.token).await, (true, 10));
    assert!(complete(&studio, &second, &ada.recovery_codes[0]).await["token"].is_string());
    let third = challenge(&studio, &ada.person.email).await;
    let past = "update credentials.second_factors set locked_until = now() - interval '1 second'";
    sqlx::query(past).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(refused(&complete(&studio, &third, wrong).await), "INVALID_CODE", "the sixth");
    let until: f64 =
        sqlx::query_scalar("select extract(epoch from locked_until - now())::float8 from credentials.second_factors")
            .fetch_one(&studio.database.pool)
            .await
            .expect("a row");
    assert!((60.0..=120.0).contains(&until), "twice as long: {until}");
    sqlx::query(past).execute(&studio.database.pool).await.expect("the rows answer");
    let code = code_now(&studio, &ada.secret).await;
    assert!(complete(&studio, &third, &code).await["token"].is_string(), "the right one ends it");
    let tries: i32 = sqlx::query_scalar("select tries from credentials.second_factors")
        .fetch_one(&studio.database.pool)
        .await
        .expect("a row");
    assert_eq!(tries, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t3_no_number_of_guesses_at_once_gets_beyond_the_bound() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let mut challenges = Vec::new();
    for _ in 0..5 {
        challenges.push(challenge(&studio, &ada.person.email).await);
    }
    let right = code_now(&studio, &ada.secret).await;
    let guesses: Vec<String> =
        (0..25).map(|n| format!("{:06}", (right.parse::<u32>().expect("digits") + 10 + n) % 1_000_000)).collect();
    let answers =
        join_all(guesses.iter().enumerate().map(|(n, guess)| complete(&studio, &challenges[n % 5], guess))).await;
    let looked_at = answers.iter().filter(|answer| refused(answer) == "INVALID_CODE").count();
    assert_eq!(looked_at, 5, "{answers:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v11_a_challenge_expires_belongs_to_its_password_and_is_nobody_elses() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (guarded(&studio, "ada").await, guarded(&studio, "ben").await);
    let of_ada = challenge(&studio, &ada.person.email).await;
    let of_ben = code_now(&studio, &ben.secret).await;
    assert_eq!(refused(&complete(&studio, &of_ada, &of_ben).await), "INVALID_CODE", "another's code");
    for bad in ["", "nonsense", &ada.person.token, &of_ada[..of_ada.len() - 1]] {
        assert_eq!(refused(&complete(&studio, bad, &of_ben).await), "INVALID_TOKEN", "{bad}");
    }
    let changed = "mutation($input: ChangePasswordInput!) { changePassword(input: $input) { userErrors { code } } }";
    let input =
        json!({ "input": { "currentPassword": crate::harness::studio::PASSWORD, "newPassword": "another-horse-2" } });
    studio.mutate(Some(&ada.person.token), changed, input).await;
    let code = code_now(&studio, &ada.secret).await;
    assert_eq!(refused(&complete(&studio, &of_ada, &code).await), "INVALID_TOKEN", "C5: it went with its password");
    let late = challenge(&studio, &ben.person.email).await;
    let past = "update credentials.sign_in_challenges set expires_at = now()";
    sqlx::query(past).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(refused(&complete(&studio, &late, &of_ben).await), "INVALID_TOKEN");
    atelier_commands::reconciler::reconcile(&studio.node.studio.write).await.expect("a round");
    let left: i64 = sqlx::query_scalar("select count(*) from credentials.sign_in_challenges")
        .fetch_one(&studio.database.pool)
        .await
        .expect("rows");
    assert_eq!(left, 0, "expired ones are removed");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_t2_the_seed_is_nowhere_in_the_clear() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    studio.drain().await;
    let rows: Vec<Value> = sqlx::query_scalar(
        "select row_to_json(t)::jsonb from (select f.seed from credentials.second_factors f union all select encode(digest, 'hex') from credentials.recovery_codes union all select payload::text from events) t",
    )
    .fetch_all(&studio.database.pool)
    .await
    .expect("rows");
    let all = Value::from(rows).to_string();
    let codes = ada.recovery_codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]);
    for secret in codes.chain([ada.secret.clone()]) {
        assert!(!all.contains(&secret), "a secret in the clear");
    }
    studio.stop().await;
}
