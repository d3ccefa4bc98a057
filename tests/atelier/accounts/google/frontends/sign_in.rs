//! Signing up and in from another origin: as `signIn` answers, with the second factor and the accounts that must not be merged (A16, U30).

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::{World, location, parameter, ways_in};
use super::{ADA, APP, Client, google_only, leave};
use crate::accounts::code;
use crate::harness::peers::ask;

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_frontend_signs_somebody_up_and_in_without_a_cookie_of_ours() {
    let world = World::start().await;
    let client = Client::new("first");
    let address = leave(&mut world.browser(), &client.start()).await;
    assert!(!address.contains(&client.challenge()), "the provider gets a challenge of ours, not the client's");
    assert_ne!(decoded_state(&address), client.state);
    assert!(
        !address.contains("prompt=") && !address.contains("max_age="),
        "who is signed in there comes straight back"
    );
    let newcomer = client.redeems(&world, &client.code(&world, ADA).await).await;
    assert_eq!((&newcomer["userErrors"], &newcomer["token"]), (&json!([]), &Value::Null), "{newcomer}");
    let told = &newcomer["signUp"];
    assert_eq!(told["email"], json!("ada@example.com"));
    assert_eq!((&told["emailVerified"], &told["suggestedUsername"]), (&json!(true), &json!("ada")));
    assert_eq!(world.studio.events_named("AccountOpened").await, 0, "nothing before a name is chosen");
    let token = google_only(&world, "ada").await;
    let me = ways_in(&world.studio, &token).await;
    assert_eq!(me["authMethods"]["password"], json!(false));
    // Another client of the same person; and an app, whose sign-in shows itself.
    let app = Client { address: APP, ..Client::new("app") };
    let address = leave(&mut world.browser(), &app.start()).await;
    assert_eq!(parameter(&address, "prompt"), "login", "RFC 8252 8.6");
    for client in [Client::new("second"), app] {
        let answer = client.redeems(&world, &client.code(&world, ADA).await).await;
        assert_eq!((&answer["twoFactorRequired"], &answer["signUp"]), (&json!(false), &Value::Null), "{answer}");
        let me = ways_in(&world.studio, answer["token"].as_str().expect("a session")).await;
        assert_eq!(me["profile"]["username"], json!("ada"));
    }
    // A name that is taken is not suggested.
    let client = Client::new("third");
    let other = client.redeems(&world, &client.code(&world, "ada-2,ada@elsewhere.example,true").await).await;
    assert_eq!(other["signUp"]["suggestedUsername"], json!("ada2"));
    world.studio.stop().await;
}

fn decoded_state(address: &str) -> String {
    super::decoded(&parameter(address, "state"))
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_the_session_is_set_as_a_cookie_as_well() {
    let world = World::start().await;
    google_only(&world, "ada").await;
    let client = Client::new("cookies");
    let code = client.code(&world, ADA).await;
    let variables = json!({ "code": code, "verifier": client.verifier });
    let answer = world.studio.graphql_with(&[], super::COMPLETE, variables).await;
    let set: Vec<_> = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect();
    let token = answer.json()["data"]["completeGoogleSignIn"]["token"].as_str().expect("a session").to_owned();
    assert!(set.iter().any(|cookie| cookie.starts_with(&format!("__Host-atelier-session={token};"))), "{set:?}");
    assert!(set.iter().any(|cookie| cookie.starts_with("__Host-atelier-device=")), "{set:?}");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u30_a_frontend_is_told_to_link_first_and_no_account_is_merged() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let client = Client::new("merge");
    let answer = client.redeems(&world, &client.code(&world, ADA).await).await;
    assert_eq!(code(&answer), "LINK_REQUIRED", "{answer}");
    assert_eq!((&answer["token"], &answer["signUp"]), (&Value::Null, &Value::Null));
    let me = ways_in(&world.studio, &ada.token).await;
    assert_eq!(me["authMethods"], json!({ "password": true, "identities": [] }));
    // An address that nobody vouches for tells nothing about itself.
    let unproven = client.redeems(&world, &client.code(&world, "mallory-1,ada@example.com,false").await).await;
    assert_eq!(unproven["signUp"]["emailVerified"], json!(false), "{unproven}");
    // And none at all opens nothing.
    let nameless = client.redeems(&world, &client.code(&world, "nameless-1,,").await).await;
    assert_eq!(code(&nameless), "NOT_POSSIBLE_NOW");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v11_a_frontend_does_not_skip_the_second_factor() {
    let world = World::start().await;
    let studio = &world.studio;
    let token = google_only(&world, "ada").await;
    let enrol = "mutation { enrolTwoFactor { secret userErrors { code } } }";
    let secret = studio.mutate(Some(&token), enrol, json!({})).await["secret"].as_str().expect("once").to_owned();
    let now = async || {
        let now = studio.node.studio.write.now().timestamp().to_string();
        ask("totp.py", &["code", &secret, &now], "").await
    };
    let confirm = "mutation($code: String!) { confirmTwoFactor(input: {code: $code}) { userErrors { code } } }";
    studio.mutate(Some(&token), confirm, json!({ "code": now().await })).await;
    let later = "update credentials.second_factors set last_step = 0";
    sqlx::query(later).execute(&studio.database.pool).await.expect("the rows answer");
    let client = Client::new("guarded");
    let answer = client.redeems(&world, &client.code(&world, ADA).await).await;
    assert_eq!((&answer["twoFactorRequired"], &answer["token"]), (&json!(true), &Value::Null), "{answer}");
    let complete = "mutation($challenge: String!, $code: String!) { completeSignIn(input: {challenge: $challenge, code: $code}) \
        { token userErrors { code } } }";
    let variables = json!({ "challenge": answer["challenge"], "code": now().await });
    assert!(studio.mutate(None, complete, variables).await["token"].is_string());
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_without_a_code_the_browser_goes_on_to_its_frontend_with_an_error() {
    let world = World::start().await;
    let client = Client::new("denied");
    let mut browser = world.browser();
    let address = leave(&mut browser, &client.start()).await;
    let state = parameter(&address, "state");
    // The person says no at the provider.
    let denied = browser.get(&format!("/auth/google/callback?error=access_denied&state={state}")).await;
    assert_eq!(denied.status, StatusCode::SEE_OTHER, "{}", denied.text);
    let arrived = location(&denied);
    assert_eq!(parameter(&arrived, "error"), "access_denied", "{arrived}");
    assert_eq!(super::decoded(&parameter(&arrived, "state")), client.state);
    // Another browser is no party to it.
    let stranger = world.browser().get(&format!("/auth/google/callback?error=access_denied&state={state}")).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST, "nobody is sent anywhere");
    // A code that the provider never gave.
    let forged = browser.get(&format!("/auth/google/callback?code=forged&state={state}")).await;
    assert_eq!(parameter(&location(&forged), "error"), "access_denied");
    // The provider goes away while the browser is there.
    let mut browser = world.browser();
    let address = leave(&mut browser, &client.start()).await;
    let back = browser.through(&address, ADA).await;
    let World { studio, provider } = world;
    drop(provider);
    let answer = browser.get(&back).await;
    assert_eq!(parameter(&location(&answer), "error"), "temporarily_unavailable", "{}", answer.text);
    assert_eq!(studio.events_named("SessionStarted").await, 0);
    studio.stop().await;
}
