//! The protocol: what is said, what is refused with which code, and whose pages may connect (sec.R2, sec.R3).

use std::time::Duration;

use atelier_server::config::AccessConfig;
use atelier_server::open_sockets::SocketLimits;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::BALANCE;
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

#[tokio::test(flavor = "multi_thread")]
async fn d6_what_is_not_the_protocol_is_closed_with_its_code() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": { "query": BALANCE } }).to_string();
    let before = [
        ("not JSON", 4400),
        ("[]", 4400),
        (r#"{"type":"start","id":"1"}"#, 4400),
        (r#"{"type":"subscribe","id":"","payload":{}}"#, 4400),
        (subscribe.as_str(), 4401),
        (r#"{"type":"connection_init"}"#, 4403),
        (r#"{"type":"connection_init","payload":{"authorization":"Bearer nonsense"}}"#, 4403),
        (r#"{"type":"connection_init","payload":[]}"#, 4400),
    ];
    for (said, code) in before {
        let mut socket = Socket::plain(&studio.url).await;
        socket.send(Message::text(said)).await.expect("the node listens");
        assert_eq!(socket.hear().await, Heard::Closed(code), "{said}");
    }
    let after = [
        (r#"{"type":"connection_init"}"#.to_owned(), 4429),
        (subscribe.clone(), 4409),
        ("{\"type\":\"connection_ack\"}".to_owned(), 4400),
        (json!({ "type": "ping", "payload": "x".repeat(256 * 1024) }).to_string(), 1009),
    ];
    for (said, code) in after {
        let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
        socket.send(Message::text(subscribe.clone())).await.expect("the node listens");
        socket.next("1").await;
        socket.send(Message::text(said.clone())).await.expect("the node listens");
        assert_eq!(socket.hear().await, Heard::Closed(code), "{:.80}", said);
    }
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    socket.send(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await.expect("the node listens");
    assert_eq!(socket.hear().await, Heard::Closed(4400), "binary");
    // Far over the limit: whether the last words arrive or not, it ends, and the node goes on.
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    let _ = socket.send(Message::text("x".repeat(3_000_000))).await;
    assert!(!matches!(socket.hear().await, Heard::Message(_)));
    let mut socket = Socket::open(&studio.url, &[]).await.expect("an upgrade");
    assert_eq!(socket.hear().await, Heard::Closed(4406), "no subprotocol");
    Socket::signed_in(&studio.url, &ada.token).await.is_open().await;
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_what_the_protocol_allows_goes_on() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let mut socket = Socket::plain(&studio.url).await;
    socket.is_open().await;
    assert_eq!(socket.enter(&ada.token).await, Heard::Message(json!({ "type": "connection_ack" })));
    socket.say(&json!({ "id": "none", "type": "complete" })).await;
    socket.say(&json!({ "type": "pong" })).await;
    socket.send(Message::Ping(b"x".to_vec().into())).await.expect("the node listens");
    socket.subscribe("1", BALANCE, json!({})).await;
    socket.next("1").await;
    // Once completed, an id is free, and nothing comes for it any more.
    socket.say(&json!({ "id": "1", "type": "complete" })).await;
    super::grant(&studio, &ada, 7).await;
    studio.drain().await;
    socket.is_open().await;
    socket.subscribe("1", BALANCE, json!({})).await;
    assert_eq!(socket.next("1").await["available"], json!(507));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_documents_pass_the_checks_of_a_request_and_only_subscriptions_run() {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let mut socket = Socket::signed_in(&studio.url, &ada.token).await;
    let many: String = (0..31).map(|number| format!("a{number}: available ")).collect();
    let table = [
        ("{ me { id } }".to_owned(), "BAD_REQUEST"),
        ("mutation { signOut { userErrors { code } } }".to_owned(), "BAD_REQUEST"),
        ("subscription {".to_owned(), "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { balanceChanged { available } notifications { position } }".to_owned(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription { balanceChanged @skip(if: true) { available } }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (format!("subscription {{ balanceChanged {{ {many} }} }}"), "LIMIT_EXCEEDED"),
        ("subscription($after: String!) { balanceChanged(after: $after) { available } }".to_owned(), "BAD_INPUT"),
        ("subscription { balanceChanged(after: \"garbage\") { available } }".to_owned(), "POSITION_UNKNOWN"),
        ("subscription { notifications(after: \"garbage\") { position } }".to_owned(), "POSITION_UNKNOWN"),
    ];
    for (number, (query, code)) in table.iter().enumerate() {
        let id = number.to_string();
        socket.subscribe(&id, query, json!({})).await;
        assert_eq!(socket.error(&id).await, *code, "{query}");
    }
    socket.say(&json!({ "id": "x", "type": "subscribe", "payload": { "query": BALANCE, "unknown": 1 } })).await;
    assert_eq!(socket.error("x").await, "BAD_REQUEST");
    // The session is as it was, and so is the socket.
    let in_a_fragment = "subscription { ...F } fragment F on Subscription { balanceChanged { available } }";
    for (id, query) in [("x", BALANCE), ("y", in_a_fragment)] {
        socket.subscribe(id, query, json!({ "extra": 1 })).await;
        assert_eq!(socket.next(id).await["available"], json!(500));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_only_pages_of_ours_connect_and_a_cookie_counts_only_from_one() {
    let access = AccessConfig { origins: vec!["https://app.example".to_owned()], ..AccessConfig::default() };
    let studio = TestStudio::start_with(access).await;
    let ada = studio.newcomer("ada").await;
    let cookie = format!("theme=dark; atelier-session-dev={}", ada.token);
    let evil = ("origin", "https://evil.example");
    for headers in [
        vec![PROTOCOL, ("cookie", cookie.as_str()), evil],
        vec![PROTOCOL, ("cookie", cookie.as_str())],
        vec![PROTOCOL, evil],
        vec![PROTOCOL, ("cookie", cookie.as_str()), ("origin", "null")],
    ] {
        assert_eq!(Socket::open(&studio.url, &headers).await.err(), Some(403), "{headers:?}");
    }
    for origin in [studio.url.as_str(), "https://app.example"] {
        let headers = [PROTOCOL, ("cookie", cookie.as_str()), ("origin", origin)];
        let mut socket = Socket::open(&studio.url, &headers).await.expect("an upgrade");
        socket.say(&json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })), "{origin}");
        socket.subscribe("1", BALANCE, json!({})).await;
        assert_eq!(socket.next("1").await["available"], json!(500));
    }
    // A token that does not count is not made up for by a cookie that does.
    let headers = [PROTOCOL, ("cookie", cookie.as_str()), ("origin", "https://app.example")];
    let mut socket = Socket::open(&studio.url, &headers).await.expect("an upgrade");
    assert_eq!(socket.enter("nonsense").await, Heard::Closed(4403));
    let plain = studio.client().get(format!("{}/graphql/ws", studio.url)).send().await.expect("an answer");
    assert_eq!(plain.status().as_u16(), 426, "no WebSocket");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_who_does_not_introduce_themselves_in_time_is_closed() {
    let limits = SocketLimits { init: Duration::from_millis(100), ..SocketLimits::default() };
    let studio = TestStudio::with_sockets(limits, AccessConfig::default()).await;
    let mut socket = Socket::plain(&studio.url).await;
    assert_eq!(socket.hear().await, Heard::Closed(4408));
    let mut busy = Socket::plain(&studio.url).await;
    busy.is_open().await;
    assert_eq!(busy.hear().await, Heard::Closed(4408), "whatever else is said");
    studio.stop().await;
}
