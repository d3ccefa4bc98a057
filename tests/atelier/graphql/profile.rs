//! Profile: both texts or neither, bounded, and visible on work older than the change (A07-A10, V04).

use serde_json::{Value, json};

use super::{ids, refusal, request};
use crate::harness::TestStudio;

const UPDATE: &str = "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) \
    { me { profile { displayName bio } } userErrors { code field message } position } }";
const FEED: &str = "{ explore { edges { node { id creator { username displayName bio } } } } \
    creator(username: \"ada\") { displayName bio published { edges { node { id creator { displayName } } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a10_a_new_name_shows_on_work_that_is_older() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let old = request(&studio, &ada, "older than the name").await;
    studio.drain().await;
    let before = studio.graphql(None, FEED, json!({})).await;
    assert_eq!(ids(&before["explore"]), std::slice::from_ref(&old));
    let creator = |feed: &Value| feed["explore"]["edges"][0]["node"]["creator"].clone();
    assert_eq!(creator(&before), json!({ "username": "ada", "displayName": "ada", "bio": null }));
    let input = json!({ "input": { "displayName": "Ada Lovelace \u{1F3A8}", "bio": "Poetical science." } });
    let changed = studio.mutate(Some(&ada.token), UPDATE, input).await;
    assert_eq!(
        changed["me"]["profile"],
        json!({ "displayName": "Ada Lovelace \u{1F3A8}", "bio": "Poetical science." })
    );
    studio.drain().await;
    let after = studio.graphql(None, FEED, json!({})).await;
    assert_eq!(
        creator(&after),
        json!({ "username": "ada", "displayName": "Ada Lovelace \u{1F3A8}", "bio": "Poetical science." })
    );
    assert_eq!(
        after["creator"]["published"]["edges"][0]["node"]["creator"]["displayName"],
        json!("Ada Lovelace \u{1F3A8}")
    );
    // What is not given stays; an empty biography clears it.
    let cleared = studio.mutate(Some(&ada.token), UPDATE, json!({ "input": { "bio": "" } })).await;
    assert_eq!(cleared["me"]["profile"]["displayName"], json!("Ada Lovelace \u{1F3A8}"));
    assert!(matches!(cleared["me"]["profile"]["bio"].as_str(), None | Some("")), "{cleared}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v04_a09_a_text_too_long_is_refused_by_name_and_neither_changes() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.drain().await;
    let head = studio.head().await;
    let wrong = [
        (json!({ "displayName": "New", "bio": "x".repeat(161) }), "bio"),
        (json!({ "displayName": "New", "bio": "a\0b" }), "bio"),
        (json!({ "displayName": "x".repeat(51), "bio": "New" }), "displayName"),
        (json!({ "displayName": "", "bio": "New" }), "displayName"),
        (json!({ "displayName": "a\u{202E}b", "bio": "New" }), "displayName"),
    ];
    for (input, field) in wrong {
        let refused = refusal(&studio, Some(&ada.token), UPDATE, json!({ "input": input })).await;
        assert_eq!(refused, ("INVALID_FIELD".to_owned(), field.to_owned()), "{input:.60}");
    }
    studio.drain().await;
    assert_eq!(studio.head().await, head, "A09: both or neither");
    // 160 as a person counts them: families of five code points, letters of two.
    let longest = format!("{}{}", "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}".repeat(80), "e\u{301}".repeat(80));
    let kept = studio.mutate(Some(&ada.token), UPDATE, json!({ "input": { "bio": longest } })).await;
    let shown = kept["me"]["profile"]["bio"].as_str().expect("a biography").to_owned();
    assert_eq!(shown.chars().count(), 80 * 5 + 80, "kept whole, composed");
    studio.stop().await;
}
