//! Where support is said to be: beside the address, where an account is deleted, in mails and in the schema (A12, A13, A39).

use atelier_server::config::AccessConfig;
use serde_json::{Value, json};

use crate::harness::TestStudio;

const HELP: &str = "https://studio.example/help";

async fn said(studio: &TestStudio, name: &str) -> [Value; 3] {
    let person = studio.newcomer(name).await;
    let root =
        studio.graphql(None, "{ signUpOptions { supportUrl } }", json!({})).await["signUpOptions"]["supportUrl"].take();
    let profile = studio.me(&person.token, "profile { email supportUrl }").await["profile"]["supportUrl"].take();
    let request = "mutation { requestAccountDeletion { token supportUrl userErrors { code } } }";
    let deletion = studio.graphql(Some(&person.token), request, json!({})).await;
    assert!(deletion["requestAccountDeletion"]["token"].is_string(), "{deletion}");
    [root, profile, deletion["requestAccountDeletion"]["supportUrl"].clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_support_is_said_wherever_people_are_sent_to_it() {
    let access = AccessConfig { support_url: Some(HELP.to_owned()), ..AccessConfig::default() };
    let studio = TestStudio::start_with(access).await;
    assert_eq!(said(&studio, "ada").await, [HELP, HELP, HELP].map(|url| json!(url)));
    studio.drain().await;
    let mails = studio.node.mailbox.list(100).await.expect("the mailbox can be read");
    assert!(!mails.is_empty());
    for mail in mails {
        let read = studio.node.mailbox.read(&mail.file).await.expect("a mail").expect("a listed mail is there");
        assert!(read.text.lines().any(|line| line.trim() == HELP), "{}", read.text);
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_studio_that_has_not_said_sends_nobody_anywhere() {
    for support_url in [None, Some(String::new())] {
        let studio = TestStudio::start_with(AccessConfig { support_url, ..AccessConfig::default() }).await;
        assert_eq!(said(&studio, "ada").await, [Value::Null, Value::Null, Value::Null]);
        studio.stop().await;
    }
}
