//! The bounds of sockets, and their end with the node (sec.R5, DESIGN 8).

use std::time::Duration;

use atelier_server::config::AccessConfig;
use atelier_server::open_sockets::SocketLimits;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{BALANCE, NOTICES, another_node, without_looks};
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};
use crate::harness::studio::Person;

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

async fn studio(sockets: SocketLimits) -> (TestStudio, Person) {
    let studio = TestStudio::with_sockets(sockets, AccessConfig::default()).await;
    let ada = studio.newcomer("ada").await;
    (studio, ada)
}

/// Waits until the account has room for a socket again; the socket.
async fn room(studio: &TestStudio, person: &Person) -> Socket {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut socket = Socket::plain(&studio.url).await;
        match socket.enter(&person.token).await {
            Heard::Message(_) => return socket,
            heard => assert_eq!(heard, Heard::Closed(1013)),
        }
        assert!(Instant::now() < deadline, "there is never room again");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_an_account_a_node_and_a_socket_have_room_for_so_many() {
    let limits = SocketLimits { account: 2, subscriptions: 3, ..SocketLimits::default() };
    let (studio, ada) = studio(limits).await;
    let ben = studio.newcomer("ben").await;
    let mut first = Socket::signed_in(&studio.url, &ada.token).await;
    let second = Socket::signed_in(&studio.url, &ada.token).await;
    assert_eq!(Socket::plain(&studio.url).await.enter(&ada.token).await, Heard::Closed(1013));
    Socket::signed_in(&studio.url, &ben.token).await.is_open().await;
    drop(second);
    room(&studio, &ada).await.is_open().await;
    for id in ["1", "2", "3"] {
        first.subscribe(id, BALANCE, json!({})).await;
        first.next(id).await;
    }
    first.subscribe("4", BALANCE, json!({})).await;
    assert_eq!(first.error("4").await, "LIMIT_EXCEEDED");
    first.say(&json!({ "id": "2", "type": "complete" })).await;
    first.subscribe("4", BALANCE, json!({})).await;
    first.next("4").await;
    let (other, url) = another_node(&studio, SocketLimits { node: 1, ..limits }).await;
    let only = Socket::plain(&url).await;
    assert_eq!(Socket::open(&url, &[PROTOCOL]).await.err(), Some(503));
    drop(only);
    assert!(other.stop().await, "it stops in time");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_an_address_has_room_for_so_many() {
    let limits = SocketLimits { client: 2, ..SocketLimits::default() };
    let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    let access = AccessConfig { trusted_proxies, ..AccessConfig::default() };
    let studio = TestStudio::with_sockets(limits, access).await;
    let from = async |address: &str| Socket::open(&studio.url, &[PROTOCOL, ("x-forwarded-for", address)]).await;
    let held = [from("192.0.2.1").await.expect("room"), from("192.0.2.1").await.expect("room")];
    assert_eq!(from("192.0.2.1").await.err(), Some(429));
    assert!(from("192.0.2.2").await.is_ok());
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(20);
    while from("192.0.2.1").await.is_err() {
        assert!(Instant::now() < deadline, "there is never room again");
        sleep(Duration::from_millis(20)).await;
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_client_with_too_much_to_say_is_closed() {
    let (studio, ada) = studio(SocketLimits { messages: 20, ..SocketLimits::default() }).await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    for _ in 0..19 {
        socket.is_open().await;
    }
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, Heard::Closed(4429));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_who_answers_pings_stays_and_who_does_not_goes() {
    let (ping, pong) = (Duration::from_millis(50), Duration::from_millis(500));
    let limits = SocketLimits { ping, pong, account: 1, ..SocketLimits::default() };
    let (studio, ada) = studio(limits).await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    // Its WebSocket answers as it listens, and it is there all the while.
    assert_eq!(socket.hear_within(Duration::from_millis(1_500)).await, None);
    assert_eq!(Socket::plain(&studio.url).await.enter(&ada.token).await, Heard::Closed(1013));
    socket.is_open().await;
    // Now it does not listen any more, and its room is another's.
    let mut another = room(&studio, &ada).await;
    another.is_open().await;
    drop(socket);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_client_that_takes_nothing_is_cut_off() {
    let limits = SocketLimits { send: Duration::from_millis(200), account: 1, ..without_looks() };
    let (studio, ada) = studio(limits).await;
    let account = studio.account(&ada).await;
    let posts = "insert into notices (notice_id, account_id, topic, created_at, position) \
        select gen_random_uuid(), $1, 'password_changed', now(), 1000000 from generate_series(1, 500)";
    sqlx::query(posts).bind(account.0).execute(&studio.database.pool).await.expect("they are written");
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    // It is served as long as it takes what it is sent.
    socket.subscribe("small", NOTICES, json!({})).await;
    socket.next("small").await;
    socket.say(&json!({ "id": "small", "type": "complete" })).await;
    let page = studio.graphql(Some(&ada.token), "{ me { position } }", json!({})).await;
    let long: String = (0..25).map(|number| format!("{}{number}: id ", "a".repeat(190))).collect();
    let query = format!("subscription($after: String) {{ notifications(after: $after) {{ notices {{ {long} }} }} }}");
    // Some 3 MB each, more in all than any buffer between the two takes; nothing is read.
    for id in 0..20 {
        socket.subscribe(&id.to_string(), &query, json!({ "after": page["me"]["position"] })).await;
    }
    // It is told of its end, if it comes back to listen, behind what was on its way.
    let mut another = room(&studio, &ada).await;
    let mut events = 0;
    while let Heard::Message(message) = socket.hear().await {
        assert_eq!(message["type"], json!("next"), "{:.200}", message.to_string());
        events += 1;
    }
    // Of these, the first one alone is more than the node and the system hold for a client that takes nothing.
    assert!(events < 20, "{events}");
    another.subscribe("1", NOTICES, json!({})).await;
    another.next("1").await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_node_that_stops_says_so_and_does_not_wait_for_those_who_do_not_listen() {
    let (studio, ada) = studio(SocketLimits::default()).await;
    let (other, url) = another_node(&studio, SocketLimits::default()).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = Socket::signed_in(&url, &ada.token).await;
        socket.subscribe("1", BALANCE, json!({})).await;
        socket.next("1").await;
        sockets.push(socket);
    }
    let deaf = Socket::signed_in(&url, &ada.token).await;
    let waiting = Socket::plain(&url).await;
    let heard = async {
        for socket in &mut sockets {
            assert_eq!(socket.hear().await, Heard::Closed(1001));
        }
    };
    let (stopped, ()) = tokio::join!(other.stop(), heard);
    assert!(stopped, "everything that was begun ends in time");
    drop((deaf, waiting));
    let metrics = studio.client().get(format!("{}/metrics", studio.url)).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for name in [
        "atelier_sockets_open ",
        "atelier_socket_messages_total{type=\"next\"}",
        "atelier_sockets_closed_total{code=\"1001\"}",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    studio.stop().await;
}
