//! Sign-up, verification and reset tell nobody whether an address is known: not in the answer, not in what others see, not in the
//! work (sec.S4, 6.3.8), and sign-up asks for an age (U42).

use serde_json::{Value, json};

use super::{code, sign_in};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field message retryAfter } position } }";

async fn sign_up(studio: &TestStudio, email: &str, username: &str, age: i32) -> Value {
    let input = json!({ "email": email, "password": PASSWORD, "username": username, "minimumAge": age });
    studio.graphql(None, SIGN_UP, json!({ "input": input })).await["signUp"].take()
}

/// What a sign-up leaves behind: events, rows, statements' worth of work.
async fn left_by(studio: &TestStudio, username: &str) -> Value {
    let account = {
        let write = &studio.node.studio.write;
        let digest = write.blind_index.digest(atelier_vault::IndexKind::Username, username);
        let claim = atelier_vault::credential_rows::claims::find(&write.pool, &digest).await.expect("the rows answer");
        claim.expect("the username is somebody's").account
    };
    let count = async |table: &str| -> i64 {
        let count = format!("select count(*) from credentials.{table} where account_id = $1");
        sqlx::query_scalar(&count).bind(account.0).fetch_one(&studio.database.pool).await.expect("the rows answer")
    };
    let events = studio.names("Account", &account.to_string()).await;
    let keys = studio.node.studio.write.vault.store().load(account).await.is_ok();
    let rows = (count("passwords").await, count("sessions").await);
    let creator = "query($name: String!) { creator(username: $name) { username displayName rank } }";
    let public = studio.graphql_raw(None, creator, json!({ "name": username })).await;
    let public = public.to_string().replace(username, "NAME");
    json!({ "events": events, "keys": keys, "passwords": rows.0, "sessions": rows.1, "public": public })
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_sign_up_with_a_taken_address_looks_like_any_other() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let fresh = sign_up(&studio, "ben@example.com", "ben", 18).await;
    let taken = sign_up(&studio, "ADA@example.com", "imposter", 18).await;
    assert_eq!((&fresh, code(&fresh)), (&taken, ""), "the same answer");
    studio.drain().await;
    let (by_fresh, by_taken) = (left_by(&studio, "ben").await, left_by(&studio, "imposter").await);
    assert_eq!(by_fresh, by_taken, "the same traces, and the same to be seen");
    assert_eq!(by_fresh["events"], json!(["AccountOpened"]));
    // Both usernames are gone for the next one, as both would be.
    for username in ["ben", "imposter"] {
        assert_eq!(code(&sign_up(&studio, "else@example.com", username, 18).await), "USERNAME_TAKEN");
    }
    // The address is still hers: her password signs in to her account, the imposter's to none, the mail went to her.
    let imposter = json!({ "email": "ada@example.com", "password": "imposter-horse-9", "username": "imposter2", "minimumAge": 18 });
    studio.mutate(None, SIGN_UP, json!({ "input": imposter })).await;
    studio.mails_go_out().await;
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, "imposter-horse-9").await), "INVALID_CREDENTIALS");
    let session = studio.sign_in(&ada.email, PASSWORD).await;
    let me = studio.graphql(Some(&session), "{ me { profile { username } } }", json!({})).await;
    assert_eq!(me["me"]["profile"]["username"], json!("ada"));
    studio.drain().await;
    let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
    let told = mails.iter().filter(|mail| {
        mail.subject == "You already have an account" && mail.to.eq_ignore_ascii_case("ada@example.com")
    });
    assert_eq!(told.count(), 2);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_links_are_asked_for_alike_whoever_the_address_is() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.signed_up("ben").await;
    studio.drain().await;
    let mutations = [
        "mutation($email: String!) { resendVerification(input: {email: $email}) { userErrors { code } position } }",
        "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } position } }",
    ];
    studio.node.studio.stop().await;
    for mutation in mutations {
        let mut answers = Vec::new();
        for email in [ada.email.as_str(), "ben@example.com", "nobody@example.com"] {
            answers.push(studio.graphql_raw(None, mutation, json!({ "email": email })).await.to_string());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    // What waits is the same for each: one piece of work, with a digest where the address would be.
    let waiting: Vec<(String, String)> = sqlx::query_as(
        "select payload->>'kind', payload::text from process_work where lane <> 'timer' order by payload->>'kind', id",
    )
    .fetch_all(&studio.database.pool)
    .await
    .expect("the work list answers");
    let kinds: Vec<&str> = waiting.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, [["resend_verification"; 3], ["start_password_reset"; 3]].concat());
    let lengths: Vec<usize> = waiting.iter().map(|(_, payload)| payload.len()).collect();
    assert!(lengths[..3].iter().all(|length| *length == lengths[0]), "{lengths:?}");
    assert!(waiting.iter().all(|(_, payload)| !payload.contains("example")), "{waiting:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn u42_whoever_declares_less_than_thirteen_years_or_more_than_a_life_opens_no_account() {
    let studio = TestStudio::start().await;
    for age in [12, 0, -1, i32::MIN, 151, 256, i32::MAX] {
        let refused = sign_up(&studio, "ada@example.com", "ada", age).await;
        assert_eq!(
            (code(&refused), &refused["userErrors"][0]["field"]),
            ("INVALID_FIELD", &json!("minimumAge")),
            "{age}"
        );
    }
    let missing = json!({ "input": { "email": "ada@example.com", "password": PASSWORD, "username": "ada" } });
    assert_eq!(studio.graphql_raw(None, SIGN_UP, missing).await["errors"][0]["extensions"]["code"], json!("BAD_INPUT"));
    studio.drain().await;
    assert_eq!(studio.head().await, 0);
    assert_eq!(code(&sign_up(&studio, "ada@example.com", "ada", 13).await), "");
    assert_eq!(code(&sign_up(&studio, "ben@example.com", "ben", 150).await), "");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u34_mails_to_one_address_are_one_a_minute_and_ten_a_day_and_refuse_nobody() {
    let studio = TestStudio::start().await;
    for number in 0..12 {
        let answer = sign_up(&studio, "ada@example.com", &format!("person{number}"), 18).await;
        assert_eq!(code(&answer), "", "a stranger's sign-ups refuse none of the owner's");
    }
    studio.drain().await;
    let sent = async || {
        let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
        mails.iter().filter(|mail| mail.to == "ada@example.com").count()
    };
    assert_eq!(sent().await, 1, "the others wait for their turn");
    for mails in 2..=10 {
        studio.time_passes(61).await;
        studio.drain().await;
        assert_eq!(sent().await, mails, "one a minute");
    }
    studio.mails_go_out().await;
    assert_eq!(sent().await, 10, "and no more on that day");
    let pauses = "select count(*) from (select goes_at - lag(goes_at) over (order by goes_at) as pause \
        from credentials.address_mails) as pauses where pause < interval '1 minute'";
    let short: i64 = sqlx::query_scalar(pauses).fetch_one(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(short, 0);
    // A day later it is another one.
    studio.time_passes(24 * 3_600).await;
    assert_eq!(code(&sign_up(&studio, "ada@example.com", "later", 18).await), "");
    studio.drain().await;
    assert_eq!(sent().await, 11);
    studio.stop().await;
}
