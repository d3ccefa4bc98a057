//! Which notices are wanted where, and in which language (A32, V12-V17, C8).

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Person;

const SHOWN: &str = "{ me { preferences { language notifications \
    { kind channel on switchable consentTextVersion since } } } }";
const SET: &str = "mutation($input: SetNotificationsInput!) { setNotifications(input: $input) \
    { me { id } userErrors { code field } position } }";

/// Every line of the settings.
async fn lines(studio: &TestStudio, person: &Person) -> Vec<Value> {
    let shown = studio.graphql(Some(&person.token), SHOWN, json!({})).await;
    shown["me"]["preferences"]["notifications"].as_array().expect("lines").clone()
}

fn line<'a>(lines: &'a [Value], kind: &str, channel: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["kind"] == kind && line["channel"] == channel);
    found.unwrap_or_else(|| panic!("no line {kind} {channel}: {lines:?}"))
}

fn choice(kind: &str, channel: &str, on: bool) -> Value {
    json!({ "kind": kind, "channel": channel, "on": on })
}

#[tokio::test(flavor = "multi_thread")]
async fn v12_v16_what_was_never_touched_is_as_the_policy_says_and_security_cannot_be_switched() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let shown = lines(&studio, &ada).await;
    assert_eq!(shown.len(), 14);
    for (kind, on, switchable) in [
        ("GENERATION_COMPLETE", true, true),
        ("LOW_CREDIT_ALERT", true, true),
        ("BILLING_RECEIPTS", true, true),
        ("NEWSLETTER", false, true),
        ("MARKETING", false, true),
        ("SECURITY", true, false),
        ("LEGAL", true, false),
    ] {
        for channel in ["MAIL", "IN_APP"] {
            let line = line(&shown, kind, channel);
            assert_eq!((&line["on"], &line["switchable"]), (&json!(on), &json!(switchable)), "{line}");
            assert_eq!((&line["since"], &line["consentTextVersion"]), (&Value::Null, &Value::Null), "{line}");
        }
    }
    studio.drain().await;
    let head = studio.head().await;
    for kind in ["SECURITY", "LEGAL"] {
        let choices = [choice("NEWSLETTER", "MAIL", true), choice(kind, "MAIL", false)];
        let refused = studio.graphql(Some(&ada.token), SET, json!({ "input": { "choices": choices } })).await;
        let error = &refused["setNotifications"]["userErrors"][0];
        assert_eq!((&error["code"], &error["field"]), (&json!("INVALID_FIELD"), &json!("choices.1.kind")), "{refused}");
    }
    let twice = [choice("NEWSLETTER", "MAIL", true), choice("NEWSLETTER", "MAIL", false)];
    let refused = studio.graphql(Some(&ada.token), SET, json!({ "input": { "choices": twice } })).await;
    assert_eq!(refused["setNotifications"]["userErrors"][0]["field"], "choices.1", "{refused}");
    let many = vec![choice("MARKETING", "MAIL", true); 11];
    let refused = studio.graphql(Some(&ada.token), SET, json!({ "input": { "choices": many } })).await;
    assert_eq!(refused["setNotifications"]["userErrors"][0]["field"], "choices", "{refused}");
    studio.drain().await;
    assert_eq!(studio.head().await, head, "V17: all or none");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a32_v17_switches_are_set_one_by_one_or_together_and_stay() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let one = "mutation { setNotification(input: { kind: GENERATION_COMPLETE, channel: MAIL, on: false }) \
        { me { preferences { notifications { kind channel on since } } } userErrors { code } position } }";
    let answer = studio.mutate(Some(&ada.token), one, json!({})).await;
    let own = answer["me"]["preferences"]["notifications"].as_array().expect("lines").clone();
    assert_eq!(line(&own, "GENERATION_COMPLETE", "MAIL")["on"], false, "its own answer shows it");
    assert_eq!(line(&own, "GENERATION_COMPLETE", "IN_APP")["on"], true, "the other channel stays");
    let choices = [choice("GENERATION_COMPLETE", "MAIL", true), choice("LOW_CREDIT_ALERT", "IN_APP", false)];
    studio.mutate(Some(&ada.token), SET, json!({ "input": { "choices": choices } })).await;
    studio.drain().await;
    let shown = lines(&studio, &ada).await;
    assert_eq!(line(&shown, "GENERATION_COMPLETE", "MAIL")["on"], true);
    assert_eq!(line(&shown, "LOW_CREDIT_ALERT", "IN_APP")["on"], false);
    assert!(line(&shown, "LOW_CREDIT_ALERT", "IN_APP")["since"].is_string());
    // What is so already is no event.
    let (head, before) = (studio.head().await, studio.events_named("NotificationPreferenceChanged").await);
    studio.mutate(Some(&ada.token), SET, json!({ "input": { "choices": choices } })).await;
    studio.mutate(Some(&ada.token), SET, json!({ "input": { "choices": [] } })).await;
    studio.drain().await;
    assert_eq!((studio.head().await, before), (head, 3));
    assert!(lines(&studio, &ben).await.iter().all(|line| line["since"].is_null()), "only one's own");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v16_a_consent_is_recorded_with_its_time_and_its_text() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let set = async |on: bool| {
        let choices = [choice("NEWSLETTER", "MAIL", on), choice("GENERATION_COMPLETE", "IN_APP", on)];
        studio.mutate(Some(&ada.token), SET, json!({ "input": { "choices": choices } })).await;
        studio.drain().await;
        lines(&studio, &ada).await
    };
    set(false).await;
    let given = set(true).await;
    let newsletter = line(&given, "NEWSLETTER", "MAIL");
    assert_eq!((&newsletter["on"], &newsletter["consentTextVersion"]), (&json!(true), &json!(1)));
    let recorded: (String, bool) = sqlx::query_as(
        "select payload->'NotificationPreferenceChanged'->>'text_version', decided_at = $1::timestamptz from events \
         where event_type = 'NotificationPreferenceChanged' and payload->'NotificationPreferenceChanged'->>'kind' = 'newsletter'",
    )
    .bind(newsletter["since"].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("a time"))
    .fetch_one(&studio.database.pool)
    .await
    .expect("one consent");
    assert_eq!(recorded, ("1".to_owned(), true), "what is shown is what the log has");
    assert_eq!(
        line(&given, "GENERATION_COMPLETE", "IN_APP")["consentTextVersion"],
        Value::Null,
        "no consent is needed"
    );
    let withdrawn = set(false).await;
    let newsletter = line(&withdrawn, "NEWSLETTER", "MAIL");
    assert_eq!((&newsletter["on"], &newsletter["consentTextVersion"]), (&json!(false), &Value::Null));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v12_mails_are_written_in_the_language_that_was_chosen() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let set = "mutation { setLanguage(input: { language: DE }) \
        { me { preferences { language } } userErrors { code } position } }";
    let answer = studio.mutate(Some(&ada.token), set, json!({})).await;
    assert_eq!(answer["me"]["preferences"]["language"], "DE");
    studio.api_key(&ada).await;
    studio.drain().await;
    let mails = studio.node.mailbox.list(10).await.expect("the mailbox can be read");
    assert_eq!(mails[0].subject, "Ein API-Schlüssel wurde erstellt");
    let mail = studio.node.mailbox.read(&mails[0].file).await.expect("a mail").expect("a listed mail is there");
    assert!(mail.html.expect("HTML").contains("<html lang=\"de\">"));
    assert!(mail.text.contains("Wenn du es warst, ist nichts zu tun."), "{}", mail.text);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mailbox_page_shows_both_halves_and_runs_neither() {
    let studio = TestStudio::start().await;
    studio.unverified("ada").await;
    studio.drain().await;
    let mut mails = studio.node.mailbox.list(10).await.expect("the mailbox can be read");
    mails.retain(|mail| mail.subject == "Verify your email address");
    let page = studio.get(&format!("/mailbox/{}", mails[0].file), None).await;
    assert!(page.text.contains("/verify-email?token=atm_") && page.text.contains("<a href=\"http"), "a link to click");
    let framed = format!("/mailbox/{}/html", mails[0].file);
    assert!(page.text.contains(&format!("src=\"{framed}\"")), "{}", page.text);
    let policy = |answer: &crate::harness::studio::Answer| {
        answer.headers["content-security-policy"].to_str().expect("text").to_owned()
    };
    assert!(policy(&page).contains("default-src 'none'") && policy(&page).contains("frame-src 'self'"));
    let html = studio.get(&framed, None).await;
    assert!(html.status.is_success() && html.text.contains("<base target=\"_blank\">"));
    let policy = policy(&html);
    assert!(
        policy.starts_with("sandbox ") && !policy.contains("allow-scripts") && !policy.contains("allow-same-origin"),
        "{policy}"
    );
    assert!(policy.contains("default-src 'none'"), "nothing is fetched");
    assert_eq!(studio.get("/mailbox/20260101T000000000Z-no.eml/html", None).await.status.as_u16(), 404);
    studio.stop().await;
}
