//! Accounts: identity, security, settings, erasure; a file for each part.

mod account_history;
mod argon2;
mod avatar_bounds;
pub mod avatars;
pub mod data_export;
mod erasure;
mod floods;
mod google;
mod kek_rotation;
mod keys;
mod mail_server;
mod notices;
mod password_reset;
mod passwords;
mod places;
mod preferences;
mod public_profile;
mod quarantine;
mod recovery;
mod second_factor;
mod security_notices;
mod sessions;
mod sign_up_bonus;
mod sign_up_fight;
mod sign_up_screen;
mod sign_up_tells_nothing;
mod staff;
mod staff_cli;
mod support;
mod texts;
mod throttling;
mod timing;
mod unsubscribe;
mod usernames;

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::studio::Answer;

const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) \
    { session { id expiresAt } token deviceToken userErrors { code field message retryAfter } position } }";

/// A sign-in with these headers; the answer whole.
async fn sign_in_raw(studio: &TestStudio, headers: &[(&str, &str)], email: &str, password: &str) -> Answer {
    let input = json!({ "input": { "email": email, "password": password } });
    studio.graphql_with(headers, SIGN_IN, input).await
}

/// A sign-in's payload.
async fn sign_in(studio: &TestStudio, headers: &[(&str, &str)], email: &str, password: &str) -> Value {
    sign_in_raw(studio, headers, email, password).await.json()["data"]["signIn"].take()
}

/// The code of a payload's one user error; empty when there is none.
fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or_default()
}

/// Time passes for who tried something, and for mails.
async fn time_passes(studio: &TestStudio, seconds: i32) {
    studio.time_passes(seconds).await;
}

/// Whether a session's token is somebody.
async fn counts(studio: &TestStudio, token: &str) -> bool {
    !studio.me(token, "id").await.is_null()
}
