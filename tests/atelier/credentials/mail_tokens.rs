//! Mail tokens: single use however many try at once, a day of life, and few mails (U19, U26, sec.S5).

use atelier_domain::SessionId;
use atelier_vault::SessionToken;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const VERIFY: &str = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code field message } position } }";

async fn verify(studio: &TestStudio, token: &str) -> Value {
    studio.graphql(None, VERIFY, json!({ "token": token })).await["verifyEmail"].take()
}

fn refused(answer: &Value) -> bool {
    answer["userErrors"][0]["code"] == json!("INVALID_TOKEN") && answer["position"] == Value::Null
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_u19_fifty_at_once_verify_once_and_grant_one_bonus() {
    let studio = TestStudio::start().await;
    let ada = studio.signed_up("ada").await;
    let token = studio.mailed_token(&ada).await;
    let answers = join_all((0..50).map(|_| verify(&studio, &token))).await;
    let done = answers.iter().filter(|answer| answer["userErrors"] == json!([])).count();
    assert!(
        done >= 1
            && answers.iter().all(|answer| {
                answer["userErrors"] == json!([])
                    || refused(answer)
                    || answer["userErrors"][0]["code"] == json!("RATE_LIMITED")
            }),
        "{answers:?}"
    );
    studio.drain().await;
    let counts = (studio.events_named("EmailVerified").await, studio.events_named("CreditsGranted").await);
    assert_eq!(counts, (1, 1), "one proof, one bonus");
    let session = studio.sign_in(&ada, PASSWORD).await;
    let shown = studio.graphql(
        Some(&session),
        "{ me { profile { emailVerified } credits { available lots { granted source expiresAt } } } }",
        json!({}),
    );
    let shown = shown.await["me"].take();
    assert_eq!((&shown["profile"]["emailVerified"], &shown["credits"]["available"]), (&json!(true), &json!(500)));
    assert_eq!(shown["credits"]["lots"][0]["source"], json!("PROMOTIONAL"));
    assert!(shown["credits"]["lots"][0]["expiresAt"].is_string(), "U19: 30 days");
    // Used up for good.
    assert!(refused(&verify(&studio, &token).await));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_expired_used_unknown_and_broken_links_are_refused_in_the_same_words() {
    let studio = TestStudio::start().await;
    let ada = studio.signed_up("ada").await;
    let token = studio.mailed_token(&ada).await;
    let life: i64 =
        sqlx::query_scalar("select extract(epoch from expires_at - created_at)::int8 from credentials.mail_tokens")
            .fetch_one(&studio.database.pool)
            .await
            .expect("the rows answer");
    assert_eq!(life, 24 * 3_600, "U26");
    sqlx::query("update credentials.mail_tokens set expires_at = now()")
        .execute(&studio.database.pool)
        .await
        .expect("set");
    let changed = format!("{}{}", &token[..token.len() - 1], if token.ends_with('a') { "b" } else { "a" });
    let unknown = atelier_vault::MailToken::generate(studio.node.studio.write.ports.random.as_ref());
    let session = SessionToken::generate(
        SessionId(studio.node.studio.write.fresh_id()),
        studio.node.studio.write.ports.random.as_ref(),
    );
    let expired = verify(&studio, &token).await;
    assert!(refused(&expired), "{expired}");
    for other in [changed.as_str(), unknown.expose(), session.expose(), "", "garbage", &token[1..]] {
        assert_eq!(verify(&studio, other).await, expired, "which, is not said");
    }
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_opening_the_link_changes_nothing_and_its_button_does() {
    let studio = TestStudio::start().await;
    let ada = studio.signed_up("ada").await;
    let token = studio.mailed_token(&ada).await;
    let link = format!("/verify-email?token={token}");
    for _ in 0..3 {
        let page = studio.get(&link, None).await;
        assert!(page.status.is_success() && page.text.contains(&token), "a form");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
    }
    let marked_up = studio.get("/verify-email?token=%22%3E%3Cscript%3E", None).await;
    assert!(!marked_up.text.contains("<script>"), "shown, not run");
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 0, "mail scanners open links");
    let press = async || {
        let form = studio.client().post(format!("{}/verify-email", studio.url));
        let form = form
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}&password={PASSWORD}"));
        form.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((press().await, press().await), (200, 400));
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 1);
    studio.stop().await;
}

/// The verification mails to an address.
async fn mails(studio: &TestStudio, address: &str) -> i64 {
    studio.drain().await;
    let mails = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
    let count = mails.iter().filter(|mail| mail.to == address && mail.subject == "Verify your email address").count();
    i64::try_from(count).expect("few")
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_at_most_one_mail_a_minute_leaves_and_each_link_works() {
    let studio = TestStudio::start().await;
    let ada = studio.signed_up("ada").await;
    let first = studio.mailed_token(&ada).await;
    assert_eq!(mails(&studio, &ada).await, 1);
    let resend = "mutation($email: String!) { resendVerification(input: {email: $email}) { userErrors { code } } }";
    let ask = async || join_all((0..20).map(|_| studio.mutate(None, resend, json!({ "email": ada })))).await;
    // A minute passes for the first mail, and for who asked.
    let older = async || studio.time_passes(61).await;
    ask().await;
    assert_eq!(mails(&studio, &ada).await, 1, "the first one left just now");
    older().await;
    ask().await;
    assert_eq!(mails(&studio, &ada).await, 2, "one of twenty");
    ask().await;
    assert_eq!(mails(&studio, &ada).await, 2);
    let second = studio.mailed_token(&ada).await;
    assert!(first != second);
    assert_eq!(verify(&studio, &first).await["userErrors"], json!([]), "the older link works as well");
    studio.drain().await;
    // The other one still counts, and changes nothing.
    assert_eq!(verify(&studio, &second).await["userErrors"], json!([]));
    studio.drain().await;
    assert_eq!(
        (studio.events_named("EmailVerified").await, studio.events_named("CreditsGranted").await),
        (1, 1),
        "U19"
    );
    // A verified address gets no more of them, whatever the minute.
    older().await;
    let sent = mails(&studio, &ada).await;
    ask().await;
    assert_eq!(mails(&studio, &ada).await, sent);
    studio.stop().await;
}
