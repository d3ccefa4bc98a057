//! The way out at the end of a mail: one click for a mail program, a page with a button for a person (V16, RFC 8058).

use serde_json::json;

use super::notices::{ask_for_mail, picture, subjects};
use crate::harness::TestStudio;
use crate::harness::studio::{Answer, Person};

/// Whether the switch for mails about generations is on.
async fn is_on(studio: &TestStudio, person: &Person) -> bool {
    studio.drain().await;
    let shown = "{ me { preferences { notifications { kind channel on } } } }";
    let me = studio.graphql(Some(&person.token), shown, json!({})).await;
    let lines = me["me"]["preferences"]["notifications"].as_array().expect("lines").clone();
    let line = lines.iter().find(|line| line["kind"] == "GENERATION_COMPLETE" && line["channel"] == "MAIL");
    line.expect("a line")["on"].as_bool().expect("on or off")
}

async fn click(studio: &TestStudio, link: &str, body: &'static str) -> Answer {
    let request = studio.client().post(link).header("content-type", "application/x-www-form-urlencoded").body(body);
    Answer::of(request.send().await.expect("the node answers")).await
}

/// The link at the end of the newest mail.
async fn link(studio: &TestStudio) -> String {
    let mails = studio.node.mailbox.list(1).await.expect("the mailbox can be read");
    let mail = studio.node.mailbox.read(&mails[0].file).await.expect("a mail").expect("a listed mail is there");
    let line = mail.text.lines().find(|line| line.contains("/unsubscribe?token="));
    let link = line.expect("a way out").to_owned();
    let html = mail.html.expect("HTML");
    assert!(html.contains("unsubscribe?token="), "in both halves");
    let raw = std::fs::read_to_string(studio.data.path().join("mailbox").join(&mails[0].file)).expect("a file");
    assert!(raw.contains(&format!("List-Unsubscribe: <{link}>\r\n")), "and for mail programs");
    link
}

#[tokio::test(flavor = "multi_thread")]
async fn v16_one_click_ends_mails_of_its_kind_and_opening_the_link_changes_nothing() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let account = studio.account(&ada).await;
    let job = picture(&studio, &ada).await;
    ask_for_mail(&studio, account, &job, "Notifier:test:0").await;
    let link = link(&studio).await;
    assert!(link.starts_with(&studio.url), "{link}");
    let path = link.strip_prefix(&studio.url).expect("ours").to_owned();
    let head = studio.head().await;
    for _ in 0..3 {
        let page = studio.get(&path, None).await;
        assert!(
            page.status.is_success() && page.text.contains("<form method=\"post\"") && !page.text.contains("<script")
        );
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert!(!page.headers.contains_key("set-cookie"));
        let only_looked = studio.client().head(&link).send().await.expect("the node answers");
        assert!(only_looked.status().is_success());
    }
    assert!(is_on(&studio, &ada).await);
    assert_eq!(studio.head().await, head, "mail scanners open links");

    let done = click(&studio, &link, "List-Unsubscribe=One-Click").await;
    assert_eq!(done.status.as_u16(), 200, "RFC 8058: no redirect, no sign-in");
    assert!(!done.headers.contains_key("set-cookie"));
    assert!(!is_on(&studio, &ada).await);
    let head = studio.head().await;
    assert_eq!(click(&studio, &link, "").await.status.as_u16(), 200, "the button, and a repeat");
    studio.drain().await;
    assert_eq!(studio.head().await, head);
    let before = subjects(&studio, &ada.email).await.len();
    let job = picture(&studio, &ada).await;
    ask_for_mail(&studio, account, &job, "Notifier:test:1").await;
    assert_eq!(subjects(&studio, &ada.email).await.len(), before, "no more of them");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v16_a_link_works_for_its_own_account_and_kind_and_a_made_up_one_for_none() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let account = studio.account(&ada).await;
    let secrets = &studio.node.studio.write.secrets;
    let url = |token: &str| format!("{}/unsubscribe?token={token}", studio.url);
    let newsletter = secrets.unsubscribe_token(account, atelier_domain::account::NoticeKind::Newsletter);
    let (_, rest) = newsletter.split_once('.').expect("two parts");
    studio.drain().await;
    let head = studio.head().await;
    let changed =
        format!("{}{}", &newsletter[..newsletter.len() - 1], if newsletter.ends_with('A') { "B" } else { "A" });
    for bad in
        ["", "x", &format!("generation_complete.{rest}"), &format!("security.{rest}"), &changed, "%22%3E%3Cscript%3E"]
    {
        let page = click(&studio, &url(bad), "List-Unsubscribe=One-Click").await;
        assert_eq!(page.status.as_u16(), 400, "{bad}");
        assert!(!page.text.contains("<script"), "shown, not run");
        let page = studio.get(&format!("/unsubscribe?token={bad}"), None).await;
        assert_eq!(page.status.as_u16(), 400, "{bad}");
    }
    assert_eq!(click(&studio, &format!("{}/unsubscribe", studio.url), "").await.status.as_u16(), 400);
    // Off already: done, and no event.
    assert_eq!(click(&studio, &url(&newsletter), "List-Unsubscribe=One-Click").await.status.as_u16(), 200);
    studio.drain().await;
    assert_eq!(studio.head().await, head);
    assert!(is_on(&studio, &ada).await && is_on(&studio, &ben).await, "its own kind, its own account");
    // Nobody is left to write to.
    let nobody = atelier_domain::AccountId(uuid::Uuid::from_u128(7));
    let gone = secrets.unsubscribe_token(nobody, atelier_domain::account::NoticeKind::Newsletter);
    assert_eq!(click(&studio, &url(&gone), "List-Unsubscribe=One-Click").await.status.as_u16(), 200);
    studio.stop().await;
}
