//! Linking Google to an account by proof of both, and unlinking (A16, U30, sec.S7).

use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use super::{Browser, World, location, ways_in};
use crate::harness::studio::{Answer, Person};

const LINK: &str = "mutation { linkGoogle { authorizationUrl userErrors { code } } }";
const UNLINK: &str = "mutation($id: ID!) { unlinkIdentity(input: {identityId: $id}) { userErrors { code } position } }";

/// Begins a link in a browser that is signed in; the provider's address.
async fn begin(world: &World, browser: &mut Browser, person: &Person) -> String {
    let request = browser.http.post(format!("{}/graphql", world.studio.url)).bearer_auth(&person.token);
    let answer = Answer::of(request.json(&json!({ "query": LINK })).send().await.expect("an answer")).await;
    assert!(answer.headers.contains_key(SET_COOKIE), "the browser is bound: {}", answer.text);
    super::keep(&mut browser.ours, &answer);
    answer.json()["data"]["linkGoogle"]["authorizationUrl"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text))
        .to_owned()
}

async fn link(world: &World, person: &Person, whom: &str) -> Answer {
    let mut browser = world.browser();
    let address = begin(world, &mut browser, person).await;
    let back = browser.through(&address, whom).await;
    browser.get(&back).await
}

#[tokio::test(flavor = "multi_thread")]
async fn u30_google_is_linked_by_proof_of_both_and_then_signs_in() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let page = link(&world, &ada, "ada-1,private@example.com,true").await;
    assert!(page.text.contains("Google is linked"), "{}", page.text);
    let me = ways_in(&world.studio, &ada.token).await;
    assert_eq!(me["authMethods"]["identities"][0]["label"], json!("private@example.com"));
    let mut browser = world.browser();
    browser.arrive("ada-1,private@example.com,true").await;
    let me = ways_in(&world.studio, browser.session().expect("a session")).await;
    assert_eq!(me["profile"]["username"], json!("ada"));
    // Somebody else cannot link it as well; a sixth identity is one too many.
    let ben = world.studio.newcomer("ben").await;
    assert!(link(&world, &ben, "ada-1,private@example.com,true").await.text.contains("linked already"));
    for n in 2..=5 {
        link(&world, &ada, &format!("ada-{n},ada{n}@example.com,true")).await;
    }
    assert_eq!(world.studio.events_named("ExternalIdentityLinked").await, 5);
    assert!(!link(&world, &ada, "ada-6,,").await.text.contains("Google is linked"));
    assert_eq!(world.count("credentials.identities").await, 5, "and its row is gone");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u30_a_link_belongs_to_the_session_that_asked_for_it() {
    let world = World::start().await;
    let ada = world.studio.newcomer("ada").await;
    let mut browser = world.browser();
    let address = begin(&world, &mut browser, &ada).await;
    let back = browser.through(&address, "ada-1,ada@example.com,true").await;
    // The session ends while the browser is away.
    world.studio.mutate(Some(&ada.token), "mutation { signOut { userErrors { code } } }", json!({})).await;
    assert!(browser.get(&back).await.text.contains("not valid any more"));
    assert_eq!(world.studio.events_named("ExternalIdentityLinked").await, 0);
    // Another browser does not come back in place of the one that left.
    let token = world.studio.sign_in(&ada.email, crate::harness::studio::PASSWORD).await;
    let ada = Person { token, ..ada };
    let mut browser = world.browser();
    let address = begin(&world, &mut browser, &ada).await;
    let back = browser.through(&address, "ada-1,ada@example.com,true").await;
    assert!(world.browser().get(&back).await.text.contains("not valid any more"));
    assert!(browser.get(&back).await.text.contains("Google is linked"), "its own still does");
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_an_identity_is_unlinked_unless_it_is_the_only_way_in() {
    let world = World::start().await;
    let studio = &world.studio;
    let ada = studio.newcomer("ada").await;
    link(&world, &ada, "ada-1,ada@example.com,true").await;
    let id = ways_in(studio, &ada.token).await["authMethods"]["identities"][0]["id"].clone();
    let ben = studio.newcomer("ben").await;
    let refused = async |token: &str, id: &Value| {
        studio.graphql(Some(token), UNLINK, json!({ "id": id })).await["unlinkIdentity"]["userErrors"][0]["code"].take()
    };
    assert_eq!(refused(&ben.token, &id).await, json!("NOT_FOUND"), "sec.A1");
    studio.mutate(Some(&ada.token), UNLINK, json!({ "id": id })).await;
    assert_eq!(ways_in(studio, &ada.token).await["authMethods"]["identities"], json!([]));
    let mut browser = world.browser();
    let page = browser.arrive("ada-1,ada@example.com,true").await;
    assert!(browser.session().is_none() && page.text.contains("link Google"), "{}", page.text);
    // It may belong to another account from now on.
    assert!(link(&world, &ben, "ada-1,ada@example.com,true").await.text.contains("Google is linked"));
    // Who has no password keeps the only way in.
    let mut carol = world.browser();
    let welcome = carol.arrive("carol-1,carol@example.com,true").await;
    carol.sign_up(&welcome, "carol").await;
    let token = carol.session().expect("a session").to_owned();
    let id = ways_in(studio, &token).await["authMethods"]["identities"][0]["id"].clone();
    assert_eq!(refused(&token, &id).await, json!("NOT_POSSIBLE_NOW"));
    carol.ours.clear();
    carol.arrive("carol-1,carol@example.com,true").await;
    assert!(carol.session().is_some(), "it still signs in");
    let start = world.browser().get("/auth/google/start").await;
    assert!(location(&start).starts_with("http://127.0.0.1:"));
    world.studio.stop().await;
}
