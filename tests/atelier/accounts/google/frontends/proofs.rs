//! A fresh proof for accounts without a password: by Google again, or by the second factor (sec.S7, A16).

use serde_json::{Value, json};

use super::super::{PUBLIC, World, parameter};
use super::{ADA, Client, google_only};
use crate::accounts::code;
use crate::harness::peers::ask;

const START: &str = "mutation($input: GoogleReturnInput!) { startGoogleReauthentication(input: $input) \
    { authorizationUrl userErrors { code field } } }";
const PROVE: &str =
    "mutation($input: ReauthenticateInput!) { reauthenticate(input: $input) { token userErrors { code field } } }";
const ENROL: &str = "mutation { enrolTwoFactor { secret userErrors { code } } }";

async fn proof_grows_old(world: &World) {
    let old = "update credentials.sessions set proved_at = proved_at - interval '11 minutes'";
    sqlx::query(old).execute(&world.studio.database.pool).await.expect("the rows answer");
}

/// Where a client's browser begins to prove who is asking, as a path of the studio.
async fn begin(world: &World, client: &Client, token: &str) -> String {
    let begun = world.studio.mutate(Some(token), START, json!({ "input": client.asks() })).await;
    let url = begun["authorizationUrl"].as_str().expect("an address").to_owned();
    url.strip_prefix(PUBLIC).expect("it begins at the studio").to_owned()
}

async fn prove(world: &World, token: &str, input: Value) -> Value {
    world.studio.graphql(Some(token), PROVE, json!({ "input": input })).await["reauthenticate"].take()
}

/// What a client brings after its browser went through the provider as somebody.
async fn proof(world: &World, client: &Client, token: &str, whom: &str) -> Value {
    let start = begin(world, client, token).await;
    let arrived = client.arrival(&mut world.browser(), &start, whom).await;
    json!({ "code": parameter(&arrived, "code"), "codeVerifier": client.verifier })
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_an_account_without_a_password_proves_itself_by_google_and_then_may_do_what_is_dangerous() {
    let world = World::start().await;
    let studio = &world.studio;
    let token = google_only(&world, "ada").await;
    proof_grows_old(&world).await;
    let link = "mutation { linkGoogle { userErrors { code } } }";
    let dangerous = [
        ("requestDataExport", "mutation { requestDataExport { userErrors { code } } }"),
        ("requestAccountDeletion", "mutation { requestAccountDeletion { userErrors { code } } }"),
        ("linkGoogle", link),
        ("enrolTwoFactor", ENROL),
    ];
    for (name, mutation) in dangerous {
        let answer = studio.graphql(Some(&token), mutation, json!({})).await;
        assert_eq!(code(&answer[name]), "REAUTHENTICATION_REQUIRED", "{name}");
    }
    for input in [json!({}), json!({ "password": "correct-horse-1" }), json!({ "code": "000000" })] {
        assert_eq!(code(&prove(&world, &token, input.clone()).await), "NO_PASSWORD", "{input}");
    }
    let client = Client::new("prove");
    let start = begin(&world, &client, &token).await;
    let address = super::leave(&mut world.browser(), &start).await;
    assert_eq!((parameter(&address, "prompt").as_str(), parameter(&address, "max_age").as_str()), ("login", "0"));
    let google = proof(&world, &client, &token, ADA).await;
    let proven = prove(&world, &token, json!({ "google": google })).await;
    let fresh = proven["token"].as_str().unwrap_or_else(|| panic!("{proven}")).to_owned();
    assert!(!crate::accounts::counts(studio, &token).await, "sec.S6: the old token is dead");
    assert_eq!(code(&prove(&world, &fresh, json!({ "google": google })).await), "INVALID_TOKEN", "once");
    for (name, mutation) in dangerous {
        let answer = studio.graphql(Some(&fresh), mutation, json!({})).await;
        assert_eq!(answer[name]["userErrors"], json!([]), "{name}");
    }
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s7_a_proof_is_the_owners_for_one_session_and_one_purpose() {
    let world = World::start().await;
    let token = google_only(&world, "ada").await;
    let ben = google_only(&world, "ben").await;
    let client = Client::new("whose");
    // Somebody else's Google account.
    let google = proof(&world, &client, &token, "ben-1,ben@example.com,true").await;
    let answer = prove(&world, &token, json!({ "google": google })).await;
    assert_eq!((code(&answer), &answer["userErrors"][0]["field"]), ("INVALID_CREDENTIALS", &json!("google")));
    // One that is nobody's.
    let google = proof(&world, &client, &token, "carol-1,carol@example.com,true").await;
    assert_eq!(code(&prove(&world, &token, json!({ "google": google })).await), "INVALID_CREDENTIALS");
    // Another session's, of the same account or of another.
    let other =
        client.redeems(&world, &client.code(&world, ADA).await).await["token"].as_str().expect("a session").to_owned();
    for stranger in [&other, &ben] {
        let google = proof(&world, &client, &token, ADA).await;
        assert_eq!(code(&prove(&world, stranger, json!({ "google": google })).await), "INVALID_TOKEN");
    }
    // A code that signs in; and a proof that would.
    let signs_in = json!({ "code": client.code(&world, ADA).await, "codeVerifier": client.verifier });
    assert_eq!(code(&prove(&world, &token, json!({ "google": signs_in })).await), "INVALID_TOKEN");
    let google = proof(&world, &client, &token, ADA).await;
    let answer = client.redeems(&world, google["code"].as_str().expect("a code")).await;
    assert_eq!(code(&answer), "INVALID_TOKEN");
    // Two proofs at once, and a verifier that is none.
    let google = proof(&world, &client, &token, ADA).await;
    let both = prove(&world, &token, json!({ "google": google, "password": "correct-horse-1" })).await;
    assert_eq!(code(&both), "INVALID_FIELD");
    let slip = json!({ "google": { "code": google["code"], "codeVerifier": "short" } });
    assert_eq!(prove(&world, &token, slip).await["userErrors"][0]["field"], json!("google.codeVerifier"));
    assert!(prove(&world, &token, json!({ "google": google })).await["token"].is_string(), "neither used it up");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s7_where_the_second_factor_is_on_its_code_is_needed_and_without_a_password_enough() {
    let world = World::start().await;
    let studio = &world.studio;
    let token = google_only(&world, "ada").await;
    let secret = studio.mutate(Some(&token), ENROL, json!({})).await["secret"].as_str().expect("once").to_owned();
    let now = async || {
        let later = "update credentials.second_factors set last_step = 0, tries = 0";
        sqlx::query(later).execute(&studio.database.pool).await.expect("the rows answer");
        let now = studio.node.studio.write.now().timestamp().to_string();
        ask("totp.py", &["code", &secret, &now], "").await
    };
    let confirm = "mutation($code: String!) { confirmTwoFactor(input: {code: $code}) { userErrors { code } } }";
    studio.mutate(Some(&token), confirm, json!({ "code": now().await })).await;
    proof_grows_old(&world).await;
    for input in [json!({}), json!({ "code": "000000" })] {
        assert_eq!(code(&prove(&world, &token, input.clone()).await), "INVALID_CODE", "{input}");
    }
    let client = Client::new("both");
    let google = proof(&world, &client, &token, ADA).await;
    assert_eq!(code(&prove(&world, &token, json!({ "google": google })).await), "INVALID_CODE", "sec.S5");
    let google = proof(&world, &client, &token, ADA).await;
    let proven = prove(&world, &token, json!({ "google": google, "code": now().await })).await;
    let token = proven["token"].as_str().unwrap_or_else(|| panic!("{proven}")).to_owned();
    proof_grows_old(&world).await;
    let proven = prove(&world, &token, json!({ "code": now().await })).await;
    let fresh = proven["token"].as_str().unwrap_or_else(|| panic!("{proven}"));
    studio.mutate(Some(fresh), "mutation { renewRecoveryCodes { userErrors { code } } }", json!({})).await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_s7_a_sign_in_at_the_provider_of_before_the_browser_left_proves_nothing() {
    let world = World::lying().await;
    let studio = &world.studio;
    let client = Client::new("old");
    let come_back = async |start: &str, lie: &str| {
        let mut browser = world.browser();
        let address = super::leave(&mut browser, start).await;
        let (state, nonce) = (parameter(&address, "state"), parameter(&address, "nonce"));
        let back = format!("/auth/google/callback?state={state}&code={lie}.{nonce}");
        super::super::location(&browser.get(&back).await)
    };
    let found = parameter(&come_back(&client.start(), "honest").await, "code");
    let ticket = client.redeems(&world, &found).await["signUp"]["ticket"].clone();
    let sign_up = "mutation($ticket: String!) { signUpWithGoogle(input: {ticket: $ticket, username: \"liar\", minimumAge: 20}) \
        { token userErrors { code } } }";
    let opened = studio.mutate(None, sign_up, json!({ "ticket": ticket })).await;
    let token = opened["token"].as_str().expect("a session").to_owned();
    let start = begin(&world, &client, &token).await;
    assert_eq!(parameter(&come_back(&start, "auth-time-old").await, "error"), "access_denied");
    let mut token = token;
    for believed in ["auth-time-now", "honest"] {
        let google =
            json!({ "code": parameter(&come_back(&start, believed).await, "code"), "codeVerifier": client.verifier });
        let proven = prove(&world, &token, json!({ "google": google })).await;
        token = proven["token"].as_str().unwrap_or_else(|| panic!("{believed}: {proven}")).to_owned();
    }
    // To sign in with, an old one is as good as any.
    assert!(parameter(&come_back(&client.start(), "auth-time-old").await, "code").starts_with("atg_"));
    world.studio.stop().await;
}
