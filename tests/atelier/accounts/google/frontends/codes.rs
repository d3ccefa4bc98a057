//! The one-time code: for the client that began, once, for two minutes, and unreadable in the rows (sec.O1, RFC 7636).

use futures::future::join_all;
use serde_json::{Value, json};

use super::super::{World, parameter};
use super::{ADA, CALLBACK, Client, google_only};
use crate::accounts::code;

async fn refused(world: &World, client: &Client, redeemed: &str, why: &str) {
    let answer = client.redeems(world, redeemed).await;
    assert_eq!(code(&answer), "INVALID_TOKEN", "{why}: {answer}");
    assert_eq!((&answer["token"], &answer["signUp"], &answer["challenge"]), (&Value::Null, &Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_of_a_hundred_who_redeem_a_code_at_once_one_gets_a_session() {
    let world = World::start().await;
    google_only(&world, "ada").await;
    let before = world.studio.events_named("SessionStarted").await;
    let client = Client::new("hundred");
    let found = client.code(&world, ADA).await;
    let answers = join_all((0..100).map(|_| client.redeems(&world, &found))).await;
    let tokens = answers.iter().filter(|answer| answer["token"].is_string()).count();
    let refused = answers.iter().filter(|answer| code(answer) == "INVALID_TOKEN").count();
    assert_eq!((tokens, refused), (1, 99));
    assert_eq!(world.studio.events_named("SessionStarted").await, before + 1);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_code_is_worth_nothing_to_another_client() {
    let world = World::start().await;
    google_only(&world, "mallory").await;
    let before = world.studio.events_named("SessionStarted").await;
    // Mallory plants her own code in a victim's frontend, which began a sign-in of its own: the victim must not get her session.
    let (mallory, victim) = (Client::new("mallory"), Client::new("victim"));
    let planted = mallory.code(&world, "mallory-1,mallory@example.com,true").await;
    refused(&world, &victim, &planted, "a planted code").await;
    refused(&world, &mallory, &planted, "it was shown to somebody else").await;
    // Mallory sends a victim's browser on a journey with her own challenge: the code goes to the victim's frontend, whose verifier is
    // another one.
    let sent = mallory.arrival(&mut world.browser(), &mallory.start(), ADA).await;
    refused(&world, &victim, &parameter(&sent, "code"), "a journey of somebody else").await;
    // A browser that takes over another's return has no code at all.
    let mut left = world.browser();
    let address = super::leave(&mut left, &victim.start()).await;
    let back = left.through(&address, ADA).await;
    assert_eq!(world.browser().get(&back).await.status.as_u16(), 400, "the cookie of sec.O1");
    assert_eq!(world.studio.events_named("SessionStarted").await, before);
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_code_counts_for_two_minutes_and_what_is_no_code_or_verifier_is_refused() {
    let world = World::start().await;
    let client = Client::new("late");
    let late = client.code(&world, ADA).await;
    let minutes: f64 =
        sqlx::query_scalar("select extract(epoch from expires_at - now())::float8 / 60 from credentials.sign_in_codes")
            .fetch_one(&world.studio.database.pool)
            .await
            .expect("a row");
    assert!((1.5..=2.0).contains(&minutes), "{minutes}");
    let past = "update credentials.sign_in_codes set expires_at = now()";
    sqlx::query(past).execute(&world.studio.database.pool).await.expect("the rows answer");
    refused(&world, &client, &late, "late").await;
    atelier_commands::reconciler::reconcile(&world.studio.node.studio.write).await.expect("a round");
    assert_eq!(world.count("credentials.sign_in_codes").await, 0, "what nobody redeemed is removed");
    let fresh = client.code(&world, ADA).await;
    // A slip of the client's does not use it up, and names the field.
    for verifier in ["", "short", &"v".repeat(129), &format!("{}!", "v".repeat(50)), &"\u{e4}".repeat(50)] {
        let answer = Client { verifier: verifier.to_owned(), ..Client::new("slip") }.redeems(&world, &fresh).await;
        assert_eq!((code(&answer), &answer["userErrors"][0]["field"]), ("INVALID_FIELD", &json!("codeVerifier")));
    }
    let swapped = fresh.replacen("atg_", "atb_", 1);
    for bad in ["", "nonsense", &fresh[..40], &format!("{fresh}x"), swapped.as_str(), "atg_\0"] {
        refused(&world, &client, bad, bad).await;
    }
    assert!(client.redeems(&world, &fresh).await["signUp"].is_object(), "none of this used it up");
    refused(&world, &client, &fresh, "again").await;
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_nothing_of_a_frontends_journey_is_in_the_rows_in_the_clear() {
    let world = World::start().await;
    let client = Client::new("hidden");
    let mut browser = world.browser();
    super::leave(&mut browser, &client.start()).await;
    let token = browser.ours[super::super::BROWSER].clone();
    let found = client.code(&world, ADA).await;
    let rows: Vec<String> = sqlx::query_scalar(
        "select row_to_json(s)::text from credentials.sign_ins_elsewhere s union all \
         select row_to_json(c)::text from credentials.sign_in_codes c",
    )
    .fetch_all(&world.studio.database.pool)
    .await
    .expect("rows");
    assert_eq!(rows.len(), 2, "a browser that is away, and a code");
    for secret in
        ["ada-1", "ada@example.com", CALLBACK, "app.example.com", &found, &token, &client.challenge(), &client.state]
    {
        assert!(rows.iter().all(|row| !row.contains(secret)), "{secret}: {rows:?}");
    }
    world.studio.stop().await;
}
