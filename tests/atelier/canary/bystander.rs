//! Somebody who plants nothing, stays, and must lose nothing when another leaves.

use std::path::Path;

use serde_json::{Value, json};

use super::journey::{REQUEST, SIGN_UP};
use crate::harness::process::until;
use crate::harness::visitor::Visitor;

/// Somebody who plants nothing and stays.
pub struct Bystander {
    session: String,
}

impl Bystander {
    /// What they see of themselves and of the feed.
    pub async fn looks(&self, visitor: &Visitor) -> Value {
        let all = "{ me { id profile { username displayName email plan } rank { count } credits { available held } \
            transactions { edges { node { id kind amount } } } creations { edges { node { id prompt } } } \
            notices { edges { node { id topic } } } } }";
        visitor.graphql(Some(&self.session), all, json!({})).await
    }
}

/// Signs somebody else up, who makes a picture.
pub async fn somebody_else(visitor: &Visitor, mailbox: &Path) -> Bystander {
    let (email, password) = ("bystander@example.com", "correct-horse-1");
    let input = json!({ "input": { "email": email, "password": password, "username": "bystander", "minimumAge": 18 } });
    visitor.graphql(None, SIGN_UP, input).await;
    let token = until("the mail", async || {
        let mut mails =
            std::fs::read_dir(mailbox).ok()?.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let mail = mails.find(|mail| mail.contains(&format!("To: {email}")))?;
        let (_, rest) = mail.split_once("/verify-email?token=")?;
        Some(rest.lines().next()?.trim().to_owned())
    });
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } } }";
    visitor.graphql(None, verify, json!({ "token": token.await })).await;
    let bystander = Bystander { session: visitor.sign_in(email, password).await };
    let input =
        json!({ "input": { "prompt": "a quiet harbour", "model": "z-image-turbo", "width": 64, "height": 64 } });
    until("the bonus", async || {
        let request = visitor.request("POST", "/graphql").bearer_auth(&bystander.session);
        let asked = request.json(&json!({ "query": REQUEST, "variables": input })).send().await.ok()?;
        asked.text().await.ok()?.contains("\"userErrors\":[]").then_some(())
    })
    .await;
    until("the picture", async || {
        let seen = bystander.looks(visitor).await;
        (seen["rank"]["count"] == json!(1) && seen["notices"]["edges"][0] != Value::Null).then_some(())
    })
    .await;
    bystander
}
