//! Signing up: refusals name their field, a taken name is told, a taken address is not (sec.S3, sec.S4, U27, U28).

use serde_json::{Value, json};

use super::refusal;
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const SIGN_UP: &str =
    "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code field message } position } }";
const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { session { id } token userErrors { code field message } position } }";

fn input(email: &str, password: &str, username: &str) -> Value {
    json!({ "input": { "email": email, "password": password, "username": username, "minimumAge": 18 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_their_field_and_leave_nothing() {
    let studio = TestStudio::start().await;
    let long = "a".repeat(31);
    let long_password = format!("{}-1", "a".repeat(1_023));
    let emails = ["", "ada", "@example.com", "ada@", "a b@example.com", "ada@example.com\n", "a\0@example.com"];
    let passwords = ["", "short-1", "longenough1", "long-enough", long_password.as_str()];
    let usernames =
        ["", "ab", "9ada", "a__b", "ada-", "ad\u{e9}", "admin", "EXPLORE", "null", "a da", "a\0da", long.as_str()];
    let mut table: Vec<(Value, &str)> = Vec::new();
    table.extend(emails.map(|email| (input(email, PASSWORD, "ada"), "email")));
    table.extend(passwords.map(|password| (input("ada@example.com", password, "ada"), "password")));
    table.extend(usernames.map(|username| (input("ada@example.com", PASSWORD, username), "username")));
    for (variables, field) in table {
        let (code, named) = refusal(&studio, None, SIGN_UP, variables.clone()).await;
        assert_eq!((code.as_str(), named.as_str()), ("INVALID_FIELD", field), "{variables}");
    }
    studio.drain().await;
    assert_eq!(studio.head().await, 0);
    // None of it took the names.
    studio.mutate(None, SIGN_UP, input("ada@example.com", PASSWORD, "ada")).await;
    studio.stop().await;
}

/// The subjects of the mails to an address, oldest first.
async fn subjects(studio: &TestStudio, address: &str) -> Vec<String> {
    studio.mails_go_out().await;
    let mails = studio.node.mailbox.list(1_000).await.expect("the mailbox can be read");
    mails.into_iter().rev().filter(|mail| mail.to.eq_ignore_ascii_case(address)).map(|mail| mail.subject).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_taken_name_is_told_and_a_taken_address_is_told_to_its_owner_only() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    for username in ["ada", "ADA"] {
        let taken = refusal(&studio, None, SIGN_UP, input("new@example.com", PASSWORD, username)).await;
        assert_eq!(taken, ("USERNAME_TAKEN".to_owned(), "username".to_owned()));
    }
    let fresh = studio.graphql(None, SIGN_UP, input("ben@example.com", PASSWORD, "ben")).await;
    studio.drain().await;
    for (number, address) in [ada.email.as_str(), "Ada@EXAMPLE.com"].into_iter().enumerate() {
        let known = studio.graphql(None, SIGN_UP, input(address, "another-horse-2", &format!("second{number}"))).await;
        let shape = |answer: &Value| {
            let payload = answer["signUp"].as_object().expect("a payload").clone();
            (payload["userErrors"].clone(), payload["position"].as_str().map(str::len), payload.len())
        };
        assert_eq!(shape(&known), shape(&fresh), "the same answer, whoever asks");
    }
    let to_ada = subjects(&studio, &ada.email).await;
    assert_eq!(to_ada, ["Verify your email address", "You already have an account", "You already have an account"]);
    // Accounts were opened, and nothing of hers was taken or changed.
    assert_eq!(studio.events_named("AccountOpened").await, 4);
    let wrong = json!({ "input": { "email": ada.email, "password": "another-horse-2" } });
    assert_eq!(refusal(&studio, None, SIGN_IN, wrong).await.0, "INVALID_CREDENTIALS");
    let right = json!({ "input": { "email": ada.email.to_uppercase(), "password": PASSWORD } });
    studio.mutate(None, SIGN_IN, right).await;
    studio.mutate(None, SIGN_UP, input("second@example.com", PASSWORD, "second")).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let ben = studio.signed_up("ben").await;
    studio.drain().await;
    let head = studio.head().await;
    let mut answers = Vec::new();
    let long = "x".repeat(100_000);
    let tries = [
        (ada.email.as_str(), "wrong-horse-1"),
        (ada.email.as_str(), ""),
        (ada.email.as_str(), "correct-horse-1 "),
        (ada.email.as_str(), "Correct-horse-1"),
        (ada.email.as_str(), long.as_str()),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("", ""),
        // Right, but nobody has proven the address.
        (ben.as_str(), PASSWORD),
    ];
    for (email, password) in tries {
        let mut body = json!({ "query": SIGN_IN, "variables": { "input": { "email": email, "password": password } } });
        if password.len() > 64 * 1024 {
            // Over the bound of variables; within it, it is a wrong password like any other.
            body["variables"]["input"]["password"] = json!(&password[..60_000]);
        }
        let request = studio.client().post(format!("{}/graphql", studio.url)).json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(!answer.headers().contains_key("set-cookie"), "{email}");
        answers.push((answer.status(), answer.text().await.expect("a body")));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(answers[0].1.contains("INVALID_CREDENTIALS"));
    studio.drain().await;
    assert_eq!(studio.head().await, head);
    studio.stop().await;
}
