//! What a process that dies between two steps of a frontend's journey leaves, and that the person can begin again (see the module
//! `sign_in_elsewhere`).

use atelier_commands::reconciler::reconcile;
use atelier_vault::credential_rows::{sign_in_codes, sign_ins_elsewhere};
use atelier_vault::{Passing, PassingToken};
use serde_json::{Value, json};

use super::super::{BROWSER, World, location, parameter};
use super::{ADA, Client, google_only, leave};
use crate::accounts::code;

async fn signs_in(world: &World, client: &Client) {
    let answer = client.redeems(world, &client.code(world, ADA).await).await;
    assert!(answer["token"].is_string(), "who begins again gets in: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_a_journey_that_was_cut_off_between_any_two_steps_leaves_nothing_and_is_begun_again() {
    let world = World::start().await;
    google_only(&world, "ada").await;
    let write = &world.studio.node.studio.write;
    let (client, before) = (Client::new("cut"), world.studio.events_named("SessionStarted").await);

    // The return used the journey up, and no code was kept.
    let mut browser = world.browser();
    let address = leave(&mut browser, &client.start()).await;
    let back = browser.through(&address, ADA).await;
    let token = PassingToken::parse(Passing::Browser, &browser.ours[BROWSER]).expect("the cookie's token");
    let (by_state, by_browser) = (write.secrets.state(&parameter(&back, "state")), write.secrets.passing(&token));
    let used = sign_ins_elsewhere::consume(&write.pool, &by_state, &by_browser, write.now()).await;
    assert!(used.expect("the rows answer").is_some_and(|journey| journey.carried.is_some()));
    let answer = browser.get(&back).await;
    assert_eq!(answer.status.as_u16(), 400, "whose frontend it was is forgotten: {}", answer.text);
    signs_in(&world, &client).await;

    // The code was kept, and the browser never heard of it.
    let mut browser = world.browser();
    let address = leave(&mut browser, &client.start()).await;
    let back = browser.through(&address, ADA).await;
    let arrived = location(&browser.get(&back).await);
    assert_eq!(browser.get(&back).await.status.as_u16(), 400, "a second return gets no second code");

    // The code was used up, and its effect never came.
    let found = parameter(&arrived, "code");
    let token = PassingToken::parse(Passing::Code, &found).expect("a code");
    let used = sign_in_codes::consume(&write.pool, &write.secrets.passing(&token), write.now()).await;
    let sealed = used.expect("the rows answer").expect("a row");
    assert!(write.secrets.open_for(&token, &sealed).is_some_and(|kept| kept.contains("ada-1")), "the control");
    let answer = client.redeems(&world, &found).await;
    assert_eq!((code(&answer), &answer["token"]), ("INVALID_TOKEN", &Value::Null));
    assert_eq!(world.studio.events_named("SessionStarted").await, before + 1, "only who began again got in");
    signs_in(&world, &client).await;

    // What is left behind goes with the next rounds.
    leave(&mut world.browser(), &client.start()).await;
    client.code(&world, ADA).await;
    for table in ["sign_ins_elsewhere", "sign_in_codes"] {
        assert_eq!(world.count(&format!("credentials.{table}")).await, 1, "{table}");
        let aged = format!("update credentials.{table} set expires_at = now() - interval '1 second'");
        sqlx::query(&aged).execute(&world.studio.database.pool).await.expect("the rows answer");
    }
    reconcile(write).await.expect("a round");
    for table in ["sign_ins_elsewhere", "sign_in_codes"] {
        assert_eq!(world.count(&format!("credentials.{table}")).await, 0, "{table}");
    }
    world.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn design_4_an_account_that_is_erased_while_its_code_waits_gets_no_session() {
    let world = World::start().await;
    let token = google_only(&world, "ada").await;
    let client = Client::new("erased");
    let waiting = client.code(&world, ADA).await;
    let offer = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let offered = world.studio.mutate(Some(&token), offer, json!({})).await;
    let confirm = "mutation($token: String!) { confirmAccountDeletion(input: {token: $token, username: \"ada\"}) \
        { userErrors { code } } }";
    world.studio.mutate(Some(&token), confirm, json!({ "token": offered["token"] })).await;
    world.studio.drain().await;
    let answer = client.redeems(&world, &waiting).await;
    assert_eq!(answer["token"], Value::Null, "{answer}");
    assert!(answer["signUp"].is_object(), "the identity is nobody's by now: {answer}");
    world.studio.stop().await;
}
