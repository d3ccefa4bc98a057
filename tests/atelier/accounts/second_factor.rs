//! Two-factor authentication, with another implementation's authenticator on the other side (V11, U36, sec.T1-T3, sec.S5, sec.S7).

mod halves;
mod recovery;
mod sign_in;
mod step_up;

use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::harness::peers::ask;
use crate::harness::studio::{PASSWORD, Person};

const ENROL: &str = "mutation { enrolTwoFactor { secret otpauthUri userErrors { code message } } }";
const CONFIRM: &str = "mutation($code: String!) { confirmTwoFactor(input: {code: $code}) { recoveryCodes userErrors { code field } position } }";
const DISABLE: &str =
    "mutation($code: String!) { disableTwoFactor(input: {code: $code}) { userErrors { code field } position } }";
const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) \
    { twoFactorRequired challenge session { id } token deviceToken userErrors { code field } position } }";
const COMPLETE: &str = "mutation($challenge: String!, $code: String!) { completeSignIn(input: {challenge: $challenge, code: $code}) \
    { twoFactorRequired session { id } token userErrors { code field retryAfter } position } }";

/// Somebody whose second factor is on.
pub(super) struct Guarded {
    pub(super) person: Person,
    pub(super) secret: String,
    pub(super) recovery_codes: Vec<String>,
}

/// What the authenticator shows now, as the other implementation computes it.
pub(super) async fn code_now(studio: &TestStudio, secret: &str) -> String {
    let now = studio.node.studio.write.now().timestamp().to_string();
    ask("totp.py", &["code", secret, &now], "").await
}

/// Lets the present step count again, as if it were long ago that a code was used.
async fn much_later(studio: &TestStudio) {
    let later = "update credentials.second_factors set last_step = last_step - 100";
    sqlx::query(later).execute(&studio.database.pool).await.expect("the rows answer");
}

pub(super) async fn guarded(studio: &TestStudio, username: &str) -> Guarded {
    let person = studio.newcomer(username).await;
    let enrolled = studio.mutate(Some(&person.token), ENROL, json!({})).await;
    let secret = enrolled["secret"].as_str().expect("shown once").to_owned();
    let code = code_now(studio, &secret).await;
    let confirmed = studio.mutate(Some(&person.token), CONFIRM, json!({ "code": code })).await;
    let codes = confirmed["recoveryCodes"].as_array().expect("shown once");
    let recovery_codes = codes.iter().map(|code| code.as_str().expect("text").to_owned()).collect();
    much_later(studio).await;
    Guarded { person, secret, recovery_codes }
}

/// Begins to sign in; the challenge.
pub(super) async fn challenge(studio: &TestStudio, email: &str) -> String {
    let input = json!({ "input": { "email": email, "password": PASSWORD } });
    let answer = studio.mutate(None, SIGN_IN, input).await;
    assert_eq!((&answer["twoFactorRequired"], &answer["token"]), (&json!(true), &Value::Null), "{answer}");
    answer["challenge"].as_str().expect("a challenge").to_owned()
}

/// Brings a code; the payload, refused or not.
pub(super) async fn complete(studio: &TestStudio, challenge: &str, code: &str) -> Value {
    let variables = json!({ "challenge": challenge, "code": code });
    studio.graphql(None, COMPLETE, variables).await["completeSignIn"].take()
}

/// The code of the one refusal.
fn refused(payload: &Value) -> &str {
    assert_eq!(payload["token"], Value::Null, "{payload}");
    payload["userErrors"][0]["code"].as_str().unwrap_or_else(|| panic!("not refused: {payload}"))
}

async fn factor(studio: &TestStudio, token: &str) -> (bool, i64) {
    let me = studio.graphql(Some(token), "{ me { twoFactor { enabled recoveryCodesLeft } } }", json!({})).await;
    let shown = &me["me"]["twoFactor"];
    (shown["enabled"].as_bool().expect("a switch"), shown["recoveryCodesLeft"].as_i64().expect("a number"))
}
