//! People for crash tests: signed up through the program's front door, with a session, an API key and credits.

use atelier_commands::use_cases::GrantCredits;
use atelier_domain::credit_ledger::GrantReason;
use atelier_domain::{AccountId, Actor, Credits, LedgerId, LotId};
use atelier_gateways::Mailbox;
use atelier_graphql::global_id::GlobalId;
use atelier_server::node::Node;
use serde_json::json;

use crate::harness::process::until;
use crate::harness::studio::PASSWORD;
use crate::harness::visitor::Visitor;

/// Somebody with an account.
#[derive(Debug, Clone)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// A session's token.
    pub token: String,
    /// An API key.
    pub key: String,
}

impl Member {
    /// The live ledger's stream id.
    pub fn ledger(&self) -> String {
        LedgerId::live(self.account).to_string()
    }
}

/// Signs somebody up, verifies the address by the mail's link, signs in, makes a key. The bonus comes a little later.
pub async fn enrol(visitor: &Visitor, mailbox: &Mailbox, name: &str) -> Member {
    let email = format!("{name}@example.com");
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";
    let input = json!({ "input": { "email": email, "password": PASSWORD, "username": name, "minimumAge": 18 } });
    visitor.graphql(None, sign_up, input).await;
    let mailed = until("the verification mail", async || mailed_token(mailbox, &email).await).await;
    let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } } }";
    visitor.graphql(None, verify, json!({ "token": mailed })).await;
    let token = visitor.sign_in(&email, PASSWORD).await;
    let create = "mutation { createApiKey(input: { label: \"crash\" }) { secret userErrors { code } position } }";
    let created = visitor.graphql(Some(&token), create, json!({})).await;
    let me = "query($position: String) { me(minPosition: $position) { id } }";
    let me = visitor.graphql(Some(&token), me, json!({ "position": created["position"] })).await;
    let Some(GlobalId::Account(account)) = me["id"].as_str().and_then(GlobalId::parse) else {
        panic!("not an account's id: {me}")
    };
    Member { account, token, key: created["secret"].as_str().expect("shown once").to_owned() }
}

async fn mailed_token(mailbox: &Mailbox, address: &str) -> Option<String> {
    for mail in mailbox.list(1_000).await.expect("the mailbox can be read") {
        if mail.to == address {
            let text = mailbox.read(&mail.file).await.expect("a mail can be read")?.text;
            if let Some((_, rest)) = text.split_once("/verify-email?token=") {
                return Some(rest.lines().next()?.trim().to_owned());
            }
        }
    }
    None
}

/// Gives credits as lots of their own; the position to read from.
pub async fn grant(node: &Node, account: AccountId, lots: &[i64]) -> i64 {
    let write = &node.studio.write;
    let mut position = 0;
    for amount in lots {
        let (ledger, lot, reason) = (LedgerId::live(account), LotId(write.fresh_id()), GrantReason::Gift);
        let grant = GrantCredits { ledger, lot, reason, amount: Credits::new(*amount), expires_at: None };
        position = grant.run(write, &write.request_context(Actor::Operator)).await.expect("no rule refuses").number;
    }
    position
}
