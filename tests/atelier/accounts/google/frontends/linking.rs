//! Linking Google from another origin: nothing is linked before the session that asked redeems the code (A16, U30, sec.S7).

use serde_json::{Value, json};

use super::super::{PUBLIC, World, parameter, ways_in};
use super::{ADA, Client};
use crate::accounts::code;
use crate::harness::studio::Person;

const LINK: &str =
    "mutation($input: GoogleReturnInput) { linkGoogle(input: $input) { authorizationUrl userErrors { code field } } }";
const COMPLETE: &str = "mutation($code: String!, $verifier: String!) { \
    completeGoogleLink(input: {code: $code, codeVerifier: $verifier}) { userErrors { code field } position } }";

/// Where a client's browser begins to link, as a path of the studio.
async fn begin(world: &World, client: &Client, person: &Person) -> String {
    let begun = world.studio.mutate(Some(&person.token), LINK, json!({ "input": client.asks() })).await;
    let url = begun["authorizationUrl"].as_str().expect("an address").to_owned();
    url.strip_prefix(PUBLIC)
        .unwrap_or_else(|| panic!("it begins at the studio, which sets its cookie: {url}"))
        .to_owned()
}

async fn complete(world: &World, client: &Client, token: &str, found: &str) -> Value {
    let variables = json!({ "code": found, "verifier": client.verifier });
    world.studio.graphql(Some(token), COMPLETE, variables).await["completeGoogleLink"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_frontend_links_google_in_a_browser_that_has_no_session_of_ours() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let client = Client::new("link");
    let start = begin(&world, &client, &ada).await;
    for secret in ["app.example.com", &client.challenge(), &ada.email] {
        assert!(!start.contains(secret), "{start}");
    }
    let arrived = client.arrival(&mut world.browser(), &start, ADA).await;
    assert_eq!(world.studio.events_named("ExternalIdentityLinked").await, 0, "the return has no effect");
    let answer = complete(&world, &client, &ada.token, &parameter(&arrived, "code")).await;
    assert_eq!(answer["userErrors"], json!([]), "{answer}");
    assert!(answer["position"].is_string());
    let me = ways_in(&world.studio, &ada.token).await;
    assert_eq!(me["authMethods"]["identities"][0]["label"], json!("ada@example.com"));
    assert!(client.redeems(&world, &client.code(&world, ADA).await).await["token"].is_string(), "it signs in");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_link_that_mallory_began_links_nobody_to_her() {
    let world = World::start().await;
    let mallory = world.studio.newcomer("mallory").await;
    let victim = world.studio.newcomer("victim").await;
    let (hers, theirs) = (Client::new("mallory"), Client::new("victim"));
    // The victim follows her address, and is signed in at Google.
    let start = begin(&world, &hers, &mallory).await;
    let sent = hers.arrival(&mut world.browser(), &start, ADA).await;
    let found = parameter(&sent, "code");
    // Her session with a stolen code but the wrong verifier, the victim's session, and no link's purpose at all.
    let answer = complete(&world, &theirs, &victim.token, &found).await;
    assert_eq!(code(&answer), "INVALID_TOKEN", "{answer}");
    for (client, token) in [(&hers, &victim.token), (&theirs, &mallory.token)] {
        let arrived = hers.arrival(&mut world.browser(), &start, ADA).await;
        let answer = complete(&world, client, token, &parameter(&arrived, "code")).await;
        assert_eq!(code(&answer), "INVALID_TOKEN", "{answer}");
    }
    let arrived = hers.arrival(&mut world.browser(), &start, ADA).await;
    assert_eq!(code(&hers.redeems(&world, &parameter(&arrived, "code")).await), "INVALID_TOKEN", "it signs nobody in");
    let signs_in = hers.code(&world, ADA).await;
    assert_eq!(code(&complete(&world, &hers, &mallory.token, &signs_in).await), "INVALID_TOKEN", "nor links anything");
    assert_eq!(world.studio.events_named("ExternalIdentityLinked").await, 0);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_a_link_ends_with_its_session_and_its_address_after_ten_minutes() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let client = Client::new("over");
    let start = begin(&world, &client, &ada).await;
    let arrived = client.arrival(&mut world.browser(), &start, ADA).await;
    world.studio.mutate(Some(&ada.token), "mutation { signOut { userErrors { code } } }", json!({})).await;
    let again = world.studio.sign_in(&ada.email, crate::harness::studio::PASSWORD).await;
    let answer = complete(&world, &client, &again, &parameter(&arrived, "code")).await;
    assert_eq!(code(&answer), "INVALID_TOKEN", "another session of the same account");
    let late = world.studio.at(chrono::TimeDelta::minutes(11));
    let journey = parameter(&start, "journey");
    let now = &world.studio.node.studio.write;
    assert!(atelier_commands::use_cases::LeaveForGoogle::begun(now, &journey).is_ok());
    assert!(atelier_commands::use_cases::LeaveForGoogle::begun(&late, &journey).is_err());
    // It still takes a fresh proof to begin.
    let old = "update credentials.sessions set proved_at = proved_at - interval '11 minutes'";
    sqlx::query(old).execute(&world.studio.database.pool).await.expect("the rows answer");
    let answer = world.studio.graphql(Some(&again), LINK, json!({ "input": client.asks() })).await;
    assert_eq!(code(&answer["linkGoogle"]), "REAUTHENTICATION_REQUIRED");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l04_l07_a_link_is_completed_once_for_its_key() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let client = Client::new("once");
    let start = begin(&world, &client, &ada).await;
    let bearer = format!("Bearer {}", ada.token);
    let complete = async |key: &str, found: &str| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        let variables = json!({ "code": found, "verifier": client.verifier });
        let answer = world.studio.graphql_with(&headers, COMPLETE, variables).await;
        let hit = answer.headers.get("idempotency-hit").is_some_and(|hit| hit == "true");
        (answer.json()["data"]["completeGoogleLink"].take(), hit)
    };
    let returned = async || parameter(&client.arrival(&mut world.browser(), &start, ADA).await, "code");
    // What is refused leaves the key free.
    let (refused, hit) = complete("one", "no-code").await;
    assert_eq!((code(&refused), hit), ("INVALID_TOKEN", false), "{refused}");
    let found = returned().await;
    let (first, hit) = complete("one", &found).await;
    assert_eq!((&first["userErrors"], hit), (&json!([]), false), "{first}");
    for _ in 0..2 {
        let (again, hit) = complete("one", &found).await;
        assert_eq!((&again["userErrors"], &again["position"], hit), (&json!([]), &first["position"], true), "{again}");
    }
    let (clash, hit) = complete("one", &returned().await).await;
    assert_eq!((code(&clash), hit), ("IDEMPOTENCY_CONFLICT", false), "{clash}");
    assert_eq!(world.studio.events_named("ExternalIdentityLinked").await, 1);
    let (used, hit) = complete("two", &found).await;
    assert_eq!((code(&used), hit), ("INVALID_TOKEN", false), "a code counts once: {used}");
    world.studio.stop().await;
}
