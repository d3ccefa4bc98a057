//! What subscribers are told: their own things, as they change, and nothing of anybody else's (sec.A1, REQUIREMENTS 3.8).

use atelier_domain::LedgerId;
use atelier_projections::Topic;
use futures::FutureExt;
use serde_json::{Value, json};

use super::{BALANCE, GENERATION, NOTICES, another_node, grant, notify};
use crate::graphql::request;
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};

const REQUEST: &str = "mutation { requestGeneration(input: {prompt: \"a harbour\", model: \"z-image-turbo\", width: 64, height: 64}) \
    { generation { id } userErrors { code message } position } }";

#[tokio::test(flavor = "multi_thread")]
async fn c8_a_generation_is_told_from_its_request_to_its_deletion() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.hold_renders().await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.subscribe("n", NOTICES, json!({})).await;
    assert_eq!(socket.next("n").await["notices"], json!([]));
    let mut made = studio.mutate(Some(&ada.token), REQUEST, json!({})).await;
    let (id, position) = (made["generation"]["id"].take(), made["position"].take());
    // Not waited for: the position finds it.
    socket.subscribe("g", GENERATION, json!({ "id": id, "after": position })).await;
    let mut event = socket.next("g").await;
    assert_eq!((&event["generation"]["id"], &event["generation"]["status"]), (&id, &json!("QUEUED")));
    assert!(event["generation"]["creator"]["id"].is_string(), "{event}");
    studio.release_renders().await;
    // Changes may come together; the last is what a query with the event's position shows.
    let mut notified = false;
    while event["generation"]["creditsUsed"].is_null() || !notified {
        let Heard::Message(mut message) = socket.hear().await else { panic!("the socket ends") };
        if message["id"] == "n" {
            let [notice] = message["payload"]["data"]["notifications"]["notices"].as_array().expect("some").as_slice()
            else {
                panic!("{message}")
            };
            assert_eq!(notice["topic"], json!("GENERATION_SUCCEEDED"));
            notified = true;
        } else {
            event = message["payload"]["data"]["generationUpdated"].take();
        }
    }
    assert_eq!(event["generation"]["status"], json!("SUCCEEDED"));
    let query =
        "query($id: ID!, $position: String) { generation(id: $id, minPosition: $position) { status creditsUsed } }";
    let variables = json!({ "id": id, "position": event["position"] });
    let shown = studio.graphql(Some(&ada.token), query, variables).await["generation"].take();
    assert_eq!((&shown["status"], &shown["creditsUsed"]), (&json!("SUCCEEDED"), &event["generation"]["creditsUsed"]));
    studio.drain().await;
    let delete = "mutation($id: ID!) { deleteGeneration(input: {id: $id}) { userErrors { code } position } }";
    studio.mutate(Some(&ada.token), delete, json!({ "id": id })).await;
    loop {
        let event = socket.next("g").await;
        if event["generation"].is_null() {
            break;
        }
    }
    assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "complete", "id": "g" })));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_the_generation_of_somebody_else_is_none_published_or_not() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let published = request(&studio, &ada, "for everybody").await;
    studio.hold_renders().await;
    let running = request(&studio, &ada, "not yet").await;
    studio.drain().await;
    let mut socket = Socket::signed_in(&studio.url, &ben.token).await;
    let mut answers = Vec::new();
    let unknown = "gen_00000000000000000000000000000000";
    for id in [published.as_str(), running.as_str(), unknown, "acc_7", "", "nonsense"] {
        socket.subscribe("1", GENERATION, json!({ "id": id })).await;
        let Heard::Message(mut message) = socket.hear().await else { panic!("{id}") };
        message["payload"][0]["extensions"]["traceId"].take();
        answers.push(message);
    }
    assert_eq!(answers[0]["type"], json!("error"), "{}", answers[0]);
    assert_eq!(answers[0]["payload"][0]["extensions"]["code"], json!("NOT_FOUND"), "{}", answers[0]);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    // What goes on there is nobody else's either.
    studio.release_renders().await;
    studio.drain().await;
    socket.is_open().await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v24_a_balance_is_told_on_whichever_node_it_changed_and_to_nobody_else() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let (other, url) = another_node(&studio, super::without_looks()).await;
    let mut here = Socket::signed_in(&studio.url, &ada.token).await;
    let mut there = Socket::signed_in(&url, &ada.token).await;
    let mut stranger = Socket::signed_in(&url, &ben.token).await;
    for socket in [&mut here, &mut there, &mut stranger] {
        socket.subscribe("1", BALANCE, json!({})).await;
        assert_eq!(socket.next("1").await["available"], json!(500));
        socket.subscribe("n", NOTICES, json!({})).await;
        socket.next("n").await;
    }
    for round in 1..=10 {
        grant(&studio, &ada, 1).await;
        for socket in [&mut here, &mut there] {
            assert_eq!(socket.next("1").await["available"], json!(500 + round));
        }
    }
    let notice = notify(&studio, &ada).await;
    for socket in [&mut here, &mut there] {
        let event = socket.next("n").await;
        assert_eq!(event["notices"][0]["id"], json!(format!("not_{}", notice.simple())));
    }
    stranger.is_open().await;
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_only_those_whose_rows_changed_are_woken() {
    let studio = TestStudio::start().await;
    let (ada, ben) = (studio.newcomer("ada").await, studio.newcomer("ben").await);
    let changes = &studio.node.studio.changes;
    let of = async |person| changes.of(Topic::Balance(LedgerId::live(studio.account(person).await)));
    let (hers, his) = (of(&ada).await, of(&ben).await);
    for _ in 0..5 {
        grant(&studio, &ada, 1).await;
        tokio::time::timeout(std::time::Duration::from_secs(20), hers.woken()).await.expect("she is woken");
    }
    assert!(his.woken().now_or_never().is_none(), "he is not");
    grant(&studio, &ben, 1).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), his.woken()).await.expect("now he is");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_nothing_falls_between_the_subscription_and_its_first_event() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    for round in 1..=60 {
        let id = round.to_string();
        tokio::join!(socket.subscribe(&id, BALANCE, json!({})), grant(&studio, &ada, 1));
        // In the first event, or in one that follows by itself.
        while socket.next(&id).await["available"] != json!(500 + round) {}
        socket.say(&json!({ "id": id, "type": "complete" })).await;
    }
    let last = studio.graphql(Some(&ada.token), "{ me { credits { available } } }", json!({})).await;
    assert_eq!(last["me"]["credits"]["available"], Value::from(560));
    studio.stop().await;
}
