//! The fresh proof that the second factor's settings need, and that a step-up and a reset do not skip it (sec.S5, sec.S7).

use serde_json::{Value, json};

use super::{DISABLE, ENROL, code_now, guarded, much_later};
use crate::harness::TestStudio;
use crate::harness::studio::PASSWORD;

const REAUTHENTICATE: &str = "mutation($password: String!, $code: String) { reauthenticate(input: {password: $password, code: $code}) \
    { token userErrors { code field } } }";

async fn proof_grows_old(studio: &TestStudio) {
    let old = "update credentials.sessions set proved_at = proved_at - interval '11 minutes'";
    sqlx::query(old).execute(&studio.database.pool).await.expect("the rows answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s7_the_settings_of_the_second_factor_need_a_fresh_proof() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let ben = studio.newcomer("ben").await;
    proof_grows_old(&studio).await;
    let code = |answer: &Value, name: &str| answer[name]["userErrors"][0]["code"].clone();
    let stale = json!("REAUTHENTICATION_REQUIRED");
    let enrol = studio.graphql(Some(&ben.token), ENROL, json!({})).await;
    assert_eq!(code(&enrol, "enrolTwoFactor"), stale);
    let token = Some(ada.person.token.as_str());
    let disable = studio.graphql(token, DISABLE, json!({ "code": ada.recovery_codes[0] })).await;
    assert_eq!(code(&disable, "disableTwoFactor"), stale, "not even with a code");
    let renew = studio.graphql(token, "mutation { renewRecoveryCodes { userErrors { code } } }", json!({})).await;
    assert_eq!(code(&renew, "renewRecoveryCodes"), stale);
    let link = studio.graphql(token, "mutation { linkGoogle { userErrors { code } } }", json!({})).await;
    assert_eq!(code(&link, "linkGoogle"), stale);
    let unlink = "mutation { unlinkIdentity(input: {identityId: \"idn_00000000000000000000000000000000\"}) { userErrors { code } } }";
    let unlink = studio.graphql(token, unlink, json!({})).await;
    assert_eq!(code(&unlink, "unlinkIdentity"), stale);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s7_a_step_up_takes_the_password_and_the_code() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    proof_grows_old(&studio).await;
    let token = Some(ada.person.token.as_str());
    for code in [Value::Null, json!(""), json!("123")] {
        let variables = json!({ "password": PASSWORD, "code": code });
        let answer = studio.graphql(token, REAUTHENTICATE, variables).await;
        assert_eq!(answer["reauthenticate"]["userErrors"][0]["code"], json!("INVALID_CODE"), "{answer}");
    }
    let code = code_now(&studio, &ada.secret).await;
    let wrong = json!({ "password": "wrong-horse-1", "code": code });
    let answer = studio.graphql(token, REAUTHENTICATE, wrong).await;
    assert_eq!(answer["reauthenticate"]["userErrors"][0]["code"], json!("INVALID_CREDENTIALS"));
    let proven = studio.mutate(token, REAUTHENTICATE, json!({ "password": PASSWORD, "code": code })).await;
    let fresh = proven["token"].as_str().expect("another token");
    much_later(&studio).await;
    studio.mutate(Some(fresh), DISABLE, json!({ "code": ada.recovery_codes[0] })).await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s5_a_reset_of_the_password_does_not_skip_the_second_factor() {
    let studio = TestStudio::start().await;
    let ada = guarded(&studio, "ada").await;
    let request = "mutation($email: String!) { requestPasswordReset(input: {email: $email}) { userErrors { code } } }";
    studio.mutate(None, request, json!({ "email": ada.person.email })).await;
    let token = studio.mailed_token(&ada.person.email).await;
    let reset = "mutation($input: CompletePasswordResetInput!) { completePasswordReset(input: $input) { userErrors { code } } }";
    let input = json!({ "input": { "token": token, "newPassword": "another-horse-2" } });
    studio.mutate(None, reset, input).await;
    let sign_in = json!({ "input": { "email": ada.person.email, "password": "another-horse-2" } });
    let answer = studio.mutate(None, super::SIGN_IN, sign_in).await;
    assert_eq!((&answer["twoFactorRequired"], &answer["token"]), (&json!(true), &Value::Null), "{answer}");
    studio.stop().await;
}
