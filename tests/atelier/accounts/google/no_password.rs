//! An account without a password: `changePassword` says so, and the mail of a reset sets one (A16).

use serde_json::json;

use super::World;
use super::frontends::google_only;
use crate::accounts::code;

const CHANGE: &str = "mutation($current: String!, $new: String!) { \
    changePassword(input: {currentPassword: $current, newPassword: $new}) { userErrors { code field } position } }";

#[tokio::test(flavor = "multi_thread")]
async fn b9_an_account_without_a_password_is_told_so_and_sets_one_by_mail() {
    let world = World::start().await;
    let studio = &world.studio;
    let token = google_only(&world, "ada").await;
    // As often as it likes: there is nothing to guess.
    for _ in 0..15 {
        let change = json!({ "current": "correct-horse-1", "new": "another-horse-2" });
        let answer = studio.graphql(Some(&token), CHANGE, change).await["changePassword"].take();
        assert_eq!((code(&answer), &answer["userErrors"][0]["field"]), ("NO_PASSWORD", &json!("currentPassword")));
    }
    assert_eq!(world.count("credentials.passwords").await, 0);
    let request = "mutation { requestPasswordReset(input: {email: \"ada@example.com\"}) { userErrors { code } } }";
    studio.mutate(None, request, json!({})).await;
    let mailed = studio.mailed_token("ada@example.com").await;
    let complete = "mutation($token: String!) { completePasswordReset(input: {token: $token, newPassword: \"correct-horse-1\"}) \
        { userErrors { code } } }";
    studio.mutate(None, complete, json!({ "token": mailed })).await;
    let token = studio.sign_in("ada@example.com", "correct-horse-1").await;
    let change = json!({ "current": "correct-horse-1", "new": "another-horse-2" });
    studio.mutate(Some(&token), CHANGE, change).await;
    world.studio.stop().await;
}
