//! Claims on names: one account each, taken over from a sign-up that died, never from one that may still be at work.

use atelier_commands::CommandError;
use atelier_domain::AccountId;
use atelier_domain::account::{AccountCommand, AccountError};
use atelier_domain::text::{Email, Username};
use atelier_vault::IndexKind;
use atelier_vault::credential_rows::{claims, passwords, unproven_addresses};
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};

use super::command;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field } position } }";

async fn sign_up(studio: &TestStudio, email: &str, username: &str) -> Value {
    let input = json!({ "input": { "email": email, "password": PASSWORD, "username": username, "minimumAge": 18 } });
    studio.graphql(None, SIGN_UP, input).await["signUp"].take()
}

/// What a sign-up leaves that died some time ago: both claims, a password, perhaps keys, and no event.
async fn dead_sign_up(studio: &TestStudio, email: &str, username: &str, age: TimeDelta, keys: bool) -> AccountId {
    let write = &studio.node.studio.write;
    let account = AccountId(write.fresh_id());
    let by_email = write.blind_index.digest(IndexKind::Email, &Email::parse(email).expect("an address").folded());
    let by_name = write.blind_index.digest(IndexKind::Username, Username::parse(username).expect("a name").as_ref());
    let claimed = claims::claim_sign_up(&write.pool, account, &by_name, &by_email, None, write.now() - age).await;
    assert_eq!(claimed.expect("the rows answer").account, account);
    passwords::set(&write.pool, account, "$argon2id$dead", write.now() - age).await.expect("the rows answer");
    if keys {
        write.vault.store().create(account).await.expect("keys are made");
    }
    account
}

async fn rows_of(studio: &TestStudio, account: AccountId) -> i64 {
    let count = "select (select count(*) from credentials.claims where account_id = $1) + \
                 (select count(*) from credentials.passwords where account_id = $1) + \
                 (select count(*) from credentials.unproven_addresses where account_id = $1)";
    sqlx::query_scalar(count).bind(account.0).fetch_one(&studio.database.pool).await.expect("the rows answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_stale_claim_is_taken_over_once_its_stream_is_closed() {
    let studio = TestStudio::start().await;
    for (name, keys) in [("ada", false), ("ben", true)] {
        let email = format!("{name}@example.com");
        let dead = dead_sign_up(&studio, &email, name, TimeDelta::minutes(11), keys).await;
        let answer = sign_up(&studio, &email, name).await;
        assert_eq!(answer["userErrors"], json!([]), "{name}");
        assert_eq!(studio.names("Account", &dead.to_string()).await, ["AccountAbandoned"], "event 1 of its stream");
        assert_eq!(rows_of(&studio, dead).await, 0, "nothing is left of it");
        // The dead sign-up was only slow: its event comes now, and conflicts.
        let (email, username) = (Email::parse(&email).expect("an address"), Username::parse(name).expect("a name"));
        let late =
            command(&studio, dead, AccountCommand::Open { email, username, minimum_age: 18, vouched_by: None }).await;
        assert!(matches!(late, Err(CommandError::Refused(AccountError::AlreadyUsed))), "{late:?}");
        assert_eq!(studio.names("Account", &dead.to_string()).await, ["AccountAbandoned"]);
    }
    // The new owners are whole: the mail came, and the password opens.
    for name in ["ada", "ben"] {
        let email = format!("{name}@example.com");
        let token = studio.mailed_token(&email).await;
        let verify = "mutation($token: String!) { verifyEmail(input: {token: $token, password: \"correct-horse-1\"}) { userErrors { code } } }";
        studio.mutate(None, verify, json!({ "token": token })).await;
        studio.sign_in(&email, PASSWORD).await;
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_fresh_claim_is_respected_and_an_open_account_is_never_abandoned() {
    let studio = TestStudio::start().await;
    let young = dead_sign_up(&studio, "ada@example.com", "ada", TimeDelta::minutes(9), true).await;
    let by_name = sign_up(&studio, "else@example.com", "ada").await;
    assert_eq!(by_name["userErrors"], json!([{ "code": "USERNAME_TAKEN", "field": "username" }]));
    let by_email = sign_up(&studio, "ada@example.com", "another").await;
    assert_eq!(by_email["userErrors"], json!([]), "sec.S4: the address is not told");
    studio.drain().await;
    assert_eq!(studio.names("Account", &young.to_string()).await, [""; 0], "and its own was not closed");
    assert_eq!(rows_of(&studio, young).await, 3);
    // It was at work: it opens in time.
    let (email, username) =
        (Email::parse("ada@example.com").expect("an address"), Username::parse("ada").expect("a name"));
    command(&studio, young, AccountCommand::Open { email, username, minimum_age: 18, vouched_by: None })
        .await
        .expect("it opens");
    // Later its claim is old, and its account is open.
    let aged = "update credentials.claims set claimed_at = claimed_at - interval '1 year'";
    sqlx::query(aged).execute(&studio.database.pool).await.expect("the rows answer");
    assert_eq!(sign_up(&studio, "else@example.com", "ada").await["userErrors"][0]["code"], json!("USERNAME_TAKEN"));
    assert_eq!(sign_up(&studio, "ada@example.com", "third").await["userErrors"], json!([]));
    studio.drain().await;
    assert_eq!(studio.names("Account", &young.to_string()).await, ["AccountOpened"]);
    assert_eq!(studio.events_named("AccountOpened").await, 3);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u27_twenty_sign_ups_for_one_name_open_one_account() {
    let studio = TestStudio::start().await;
    let emails: Vec<String> = (0..20).map(|number| format!("person{number}@example.com")).collect();
    let answers = join_all(emails.iter().map(|email| sign_up(&studio, email, "ada"))).await;
    let taken = json!([{ "code": "USERNAME_TAKEN", "field": "username" }]);
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer["userErrors"] == json!([]));
    assert_eq!((won.len(), lost.len()), (1, 19), "{answers:?}");
    assert!(lost.iter().all(|answer| answer["userErrors"] == taken), "{lost:?}");
    studio.drain().await;
    assert_eq!(studio.events_named("AccountOpened").await, 1);
    // The losers' addresses are free: neither claim without the other.
    let losers = emails.iter().zip(&answers).filter(|(_, answer)| answer["userErrors"] != json!([]));
    let again: Vec<(&String, String)> =
        losers.zip(1..).map(|((email, _), number)| (email, format!("other{number}"))).collect();
    let answers = join_all(again.iter().map(|(email, name)| sign_up(&studio, email, name))).await;
    assert!(answers.iter().all(|answer| answer["userErrors"] == json!([])), "{answers:?}");
    studio.drain().await;
    assert_eq!(studio.events_named("AccountOpened").await, 20);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_many_who_want_a_stale_name_get_it_once() {
    let studio = TestStudio::start().await;
    let dead = dead_sign_up(&studio, "dead@example.com", "ada", TimeDelta::hours(1), true).await;
    let emails: Vec<String> = (0..10).map(|number| format!("person{number}@example.com")).collect();
    let answers = join_all(emails.iter().map(|email| sign_up(&studio, email, "ada"))).await;
    let won = answers.iter().filter(|answer| answer["userErrors"] == json!([])).count();
    assert_eq!(won, 1, "{answers:?}");
    studio.drain().await;
    assert_eq!(studio.events_named("AccountOpened").await, 1);
    assert_eq!(studio.names("Account", &dead.to_string()).await, ["AccountAbandoned"]);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u27_of_many_claims_at_once_one_gets_the_name_and_only_its_address_is_noted() {
    let studio = TestStudio::start().await;
    let write = &studio.node.studio.write;
    let by_name = write.blind_index.digest(IndexKind::Username, "ada");
    let contenders: Vec<_> = (0..20)
        .map(|number| {
            let by_email = write.blind_index.digest(IndexKind::Email, &format!("person{number}@example.com"));
            (AccountId(write.fresh_id()), by_email)
        })
        .collect();
    let claim = |(account, by_email)| async move {
        claims::claim_sign_up(&write.pool, account, &by_name, &by_email, None, write.now())
            .await
            .expect("the rows answer")
            .account
    };
    let holders = join_all(contenders.iter().copied().map(claim)).await;
    let winner = holders[0];
    assert!(holders.iter().all(|holder| *holder == winner), "one wins: {holders:?}");
    for (account, by_email) in &contenders {
        let noted = unproven_addresses::of(&write.pool, by_email, None, 10).await.expect("the rows answer");
        let noted: Vec<AccountId> = noted.into_iter().map(|unproven| unproven.account).collect();
        if *account == winner {
            assert_eq!(noted, [winner]);
            assert_eq!(claim((*account, *by_email)).await, winner, "again is harmless");
        } else {
            assert_eq!(noted, [], "neither without the other");
        }
        assert_eq!(claims::find(&write.pool, by_email).await.expect("the rows answer"), None, "no address is claimed");
    }
    studio.stop().await;
}
