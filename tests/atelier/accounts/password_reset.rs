//! A new password by mail: one link, one use, half an hour, nobody signed in by it (A14, A15, A16, C5, sec.S4, sec.S5).

use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::text::{Email, IdentityLabel, Username};
use atelier_domain::{AccountId, IdentityId};
use atelier_server::config::AccessConfig;
use atelier_vault::IndexKind;
use atelier_vault::credential_rows::claims;
use atelier_vault::credential_rows::mail_tokens::{self, MailPurpose, MailedTo};
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{code, counts, sign_in};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const REQUEST: &str =
    "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code field } position } }";
const COMPLETE: &str = "mutation($input: CompletePasswordResetInput!) { completePasswordReset(input: $input) \
    { userErrors { code field message } position } }";
const NEW: &str = "another-horse-2";

async fn request(studio: &TestStudio, email: &str) -> Value {
    studio.graphql(None, REQUEST, json!({ "email": email })).await["requestPasswordReset"].take()
}

async fn complete(studio: &TestStudio, token: &str, password: &str) -> Value {
    let input = json!({ "input": { "token": token, "newPassword": password } });
    studio.graphql(None, COMPLETE, input).await["completePasswordReset"].take()
}

/// The subjects of the mails to an address, newest first.
async fn subjects(studio: &TestStudio, address: &str) -> Vec<String> {
    studio.drain().await;
    let mails = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
    mails.into_iter().filter(|mail| mail.to == address).map(|mail| mail.subject).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_a15_the_link_sets_a_new_password_and_ends_every_session() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    assert_eq!(code(&request(&studio, &ada.email).await), "");
    assert_eq!(subjects(&studio, &ada.email).await[0], "Choose a new password");
    let token = studio.mailed_token(&ada.email).await;
    assert!(token.len() >= 43, "sec.S5: 256 bits");
    let clear =
        sqlx::query_scalar("select count(*) from credentials.mail_tokens where encode(token_digest, 'escape') = $1");
    let clear: i64 = clear.bind(&token).fetch_one(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(clear, 0);
    assert_eq!(studio.events_named("PasswordResetRequested").await, 1);
    // A password that the rules refuse uses nothing up.
    for bad in ["short-1", "password1!", "ada@example.com1!"] {
        let refused = complete(&studio, &token, bad).await;
        assert_eq!(
            (code(&refused), &refused["userErrors"][0]["field"]),
            ("INVALID_FIELD", &json!("newPassword")),
            "{bad}"
        );
    }
    assert!(counts(&studio, &ada.token).await);
    let done = complete(&studio, &token, NEW).await;
    assert_eq!(code(&done), "");
    assert!(!counts(&studio, &ada.token).await, "C5");
    assert_eq!(code(&sign_in(&studio, &[], &ada.email, PASSWORD).await), "INVALID_CREDENTIALS");
    studio.sign_in(&ada.email, NEW).await;
    assert_eq!(code(&complete(&studio, &token, "third-horse-3").await), "INVALID_TOKEN");
    // A verification link is no reset link.
    studio.signed_up("ben").await;
    let other = studio.mailed_token("ben@example.com").await;
    assert_eq!(code(&complete(&studio, &other, NEW).await), "INVALID_TOKEN");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_of_a_hundred_at_once_one_counts() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    request(&studio, &ada.email).await;
    let token = studio.mailed_token(&ada.email).await;
    let news: Vec<String> = (0..100).map(|number| format!("another-horse-{number}")).collect();
    let answers = join_all(news.iter().map(|new| complete(&studio, &token, new))).await;
    let done: Vec<usize> = (0..100).filter(|number| code(&answers[*number]).is_empty()).collect();
    assert_eq!(done.len(), 1, "single use");
    let others = answers.iter().filter(|answer| !code(answer).is_empty());
    others.for_each(|answer| assert!(matches!(code(answer), "INVALID_TOKEN" | "RATE_LIMITED"), "{answer}"));
    studio.drain().await;
    assert_eq!(studio.events_named("PasswordChanged").await, 1);
    studio.sign_in(&ada.email, &news[done[0]]).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_link_lives_half_an_hour_and_dies_with_the_reset() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    request(&studio, &ada.email).await;
    let first = studio.mailed_token(&ada.email).await;
    let life = "select extract(epoch from expires_at - created_at)::int8 from credentials.mail_tokens where purpose = 'reset_password'";
    let life: i64 = sqlx::query_scalar(life).fetch_one(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(life, 30 * 60);
    // One mail a minute, however often it is asked for.
    for _ in 0..5 {
        assert_eq!(code(&request(&studio, &ada.email).await), "", "and nobody is told");
    }
    assert_eq!(
        subjects(&studio, &ada.email).await.iter().filter(|subject| *subject == "Choose a new password").count(),
        1
    );
    super::time_passes(&studio, 61).await;
    request(&studio, &ada.email).await;
    let second = studio.mailed_token(&ada.email).await;
    assert_ne!(first, second);
    assert_eq!(code(&complete(&studio, &first, NEW).await), "");
    assert_eq!(code(&complete(&studio, &second, "third-horse-3").await), "INVALID_TOKEN", "the other one dies with it");
    super::time_passes(&studio, 61).await;
    request(&studio, &ada.email).await;
    let third = studio.mailed_token(&ada.email).await;
    let expire = "update credentials.mail_tokens set expires_at = now()";
    sqlx::query(expire).execute(&studio.database.pool).await.expect("set");
    assert_eq!(code(&complete(&studio, &third, "third-horse-3").await), "INVALID_TOKEN");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_the_page_shows_a_form_that_uses_nothing_up_until_it_is_sent() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    request(&studio, &ada.email).await;
    let token = studio.mailed_token(&ada.email).await;
    let mails = studio.node.mailbox.list(10).await.expect("the mailbox can be read");
    let text = studio.node.mailbox.read(&mails[0].file).await.expect("read").expect("a mail").text;
    assert!(text.contains(&format!("{}/reset-password?token={token}", studio.url)), "{text}");
    for _ in 0..3 {
        let page = studio.get(&format!("/reset-password?token={token}"), None).await;
        assert!(page.status.is_success() && page.text.contains(&token));
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
    }
    let marked_up = studio.get("/reset-password?token=%22%3E%3Cscript%3E", None).await;
    assert!(!marked_up.text.contains("<script>"), "shown, not run");
    let send = async |password: &str| {
        let form = studio.client().post(format!("{}/reset-password", studio.url));
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.body(format!("token={token}&new_password={password}")).send().await.expect("an answer");
        // The device becomes known (U35), and nobody is signed in.
        let cookies = answer.headers().get_all("set-cookie").iter();
        let cookies = cookies.filter(|cookie| !cookie.as_bytes().starts_with(b"atelier-device-dev=")).count() > 0;
        let status = answer.status().as_u16();
        (status, cookies, answer.text().await.expect("a page"))
    };
    let weak = send("password1!").await;
    assert!(weak.0 == 400 && weak.2.contains(&token) && !weak.2.contains("password1!"), "the form again: {}", weak.2);
    let done = send(NEW).await;
    assert_eq!((done.0, done.1), (200, false), "it signs nobody in");
    assert_eq!(send(NEW).await.0, 400);
    studio.sign_in(&ada.email, NEW).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_links_lead_to_the_frontend_that_is_configured() {
    let frontend = Some("https://app.example/".to_owned());
    let studio = TestStudio::start_with(AccessConfig { frontend_url: frontend, ..AccessConfig::default() }).await;
    let ada = studio.newcomer("ada").await;
    request(&studio, &ada.email).await;
    let reset = studio.mailed_token(&ada.email).await;
    let mut texts = Vec::new();
    for mail in studio.node.mailbox.list(10).await.expect("the mailbox can be read") {
        texts.push(studio.node.mailbox.read(&mail.file).await.expect("read").expect("a mail").text);
    }
    assert!(
        texts.iter().any(|text| text.contains(&format!("https://app.example/reset-password?token={reset}"))),
        "{texts:?}"
    );
    assert!(texts.iter().any(|text| text.contains("https://app.example/verify-email?token=")), "{texts:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u26_an_unverified_address_is_unknown_to_a_reset() {
    let studio = TestStudio::start().await;
    // Somebody else signed up with her address first; the mailbox is hers.
    let email = studio.signed_up("imposter").await;
    let link = studio.mailed_token(&email).await;
    assert_eq!(request(&studio, &email).await, request(&studio, "nobody@example.com").await);
    assert_eq!(subjects(&studio, &email).await, ["Verify your email address"], "and no other mail");
    assert_eq!(studio.events_named("PasswordResetRequested").await, 0);
    assert_eq!(code(&complete(&studio, &link, NEW).await), "INVALID_TOKEN");
    // A link of a release that mailed one.
    let write = &studio.node.studio.write;
    let account = studio.account_at(&email).await;
    let token = atelier_vault::MailToken::generate(write.ports.random.as_ref());
    let state = write.path.load::<Account>(&account.to_string()).await.expect("the log answers").state;
    let mailed_to = MailedTo::of(state.email().expect("an address"));
    let (digest, now) = (write.secrets.mail(&token), write.now());
    let life = now + TimeDelta::minutes(30);
    mail_tokens::insert(&write.pool, &digest, account, MailPurpose::ResetPassword, mailed_to, now, life)
        .await
        .expect("the rows answer");
    assert_eq!(code(&complete(&studio, token.expose(), NEW).await), "INVALID_TOKEN");
    studio.drain().await;
    assert_eq!(studio.events_named("EmailVerified").await, 0);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_an_account_without_a_password_is_told_to_use_google_and_may_have_one() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    let account = AccountId(write.fresh_id());
    let (email, username) =
        (Email::parse("gwen@example.com").expect("an address"), Username::parse("gwen").expect("a name"));
    let by_email = write.blind_index.digest(IndexKind::Email, &email.folded());
    claims::claim_address(&write.pool, account, &by_email, None, write.now()).await.expect("the rows answer");
    write.vault.store().create(account).await.expect("keys are made");
    let identity = NewIdentity {
        identity_id: IdentityId(write.fresh_id()),
        provider: IdentityProvider::Google,
        label: IdentityLabel::parse("gwen@example.com").expect("a label"),
        vouches_for_address: true,
    };
    let open = AccountCommand::Open { email, username, minimum_age: 18, vouched_by: Some(identity) };
    let target = atelier_commands::command_path::Target { id: account.to_string(), subject: account };
    write.path.execute::<Account>(&target, &studio.operator(), None, |_| open.clone()).await.expect("it opens");
    let known = request(&studio, "gwen@example.com").await;
    assert_eq!(known, request(&studio, "nobody@example.com").await);
    assert_eq!(subjects(&studio, "gwen@example.com").await, ["You sign in with Google"]);
    assert_eq!(code(&sign_in(&studio, &[], "gwen@example.com", PASSWORD).await), "INVALID_CREDENTIALS");
    let token = studio.mailed_token("gwen@example.com").await;
    assert_eq!(code(&complete(&studio, &token, NEW).await), "");
    studio.sign_in("gwen@example.com", NEW).await;
    let stream = studio.stream("Account", &account.to_string()).await;
    let added = stream.iter().any(|event| format!("{event:?}").contains("PasswordChanged { via: Added }"));
    assert!(added, "{stream:?}");
    studio.stop().await;
}
