//! More connections than a process has descriptors: those that go on are answered.

use std::time::Duration;

use atelier_server::connections::{ConnectionLimits, raise_descriptor_limit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::TestStudio;
use crate::harness::process::{Home, until};
use crate::harness::visitor::Visitor;

/// More than the process may have open.
const MANY: usize = 1_100;
const DESCRIPTORS: u32 = 1_024;

/// Connections on each of which this was sent, and then nothing more.
async fn stuck(address: &str, bytes: &str) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut socket = TcpStream::connect(address).await.expect("the node listens");
        // Closed already, perhaps, by the time it is written.
        let _ = socket.write_all(bytes.as_bytes()).await;
        open.push(socket);
    }
    open
}

async fn answers(visitor: &Visitor, what: &str) {
    let live = visitor.get("/health/live", None).await;
    assert_eq!(live.status.as_u16(), 200, "{what}");
    let ready = visitor.get("/health/ready", None).await;
    assert_eq!(ready.status.as_u16(), 200, "{what}: {}", ready.text);
    visitor.graphql(None, "{ explore { edges { node { id } } } }", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_clients_that_do_not_go_on_shut_nobody_out() {
    raise_descriptor_limit();
    let home = Home::open().await;
    let mut served = home.serve_limited(DESCRIPTORS);
    let visitor = served.listening().await;
    let address = visitor.url.trim_start_matches("http://").to_owned();
    let head = |method: &str| format!("{method} HTTP/1.1\r\nhost: {address}\r\n");
    let body = "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\na=";
    for (what, bytes) in [
        ("nothing", String::new()),
        ("half a head", head("GET /health/live")),
        ("half a GraphQL body", head("POST /graphql") + body),
        ("half a form", head("POST /verify-email") + form),
        (
            "half a chunk",
            head("POST /graphql") + "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        ),
        ("a whole request, then idle", head("GET /health/live") + "\r\n"),
        ("requests whose answers are not taken", (head("GET /graphiql/graphiql.js") + "\r\n").repeat(4)),
    ] {
        let open = stuck(&address, &bytes).await;
        // By a client with no connection of its own yet.
        answers(&Visitor::of(visitor.url.clone()), what).await;
        drop(open);
        served.still_runs();
    }
    assert!(!served.logged().contains("cannot be accepted"), "the bound is below the limit: {}", served.logged());
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

/// What is answered on a connection until it ends.
async fn heard(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.expect("an answer, or its end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_what_a_client_lets_us_wait_for_has_an_end() {
    let (head, body) = (Duration::from_millis(300), Duration::from_millis(600));
    let limits = ConnectionLimits { head, body, ..ConnectionLimits::default() };
    let studio = TestStudio::with_connections(limits).await;
    let address = studio.url.trim_start_matches("http://").to_owned();
    let post = |path: &str, kind: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {kind}\r\ncontent-length: 1000\r\n\r\n{{")
    };
    let form = "application/x-www-form-urlencoded";
    for (what, bytes, answer) in [
        ("nothing", String::new(), ""),
        ("half a head", "GET / HTTP/1.1\r\nhost:".to_owned(), ""),
        ("half of GraphQL's body", post("/graphql", "application/json"), "HTTP/1.1 408"),
        ("half a form", post("/verify-email", form), "HTTP/1.1 408"),
        ("idle after an answer", format!("GET /health/live HTTP/1.1\r\nhost: {address}\r\n\r\n"), "HTTP/1.1 200"),
    ] {
        let mut socket = TcpStream::connect(&address).await.expect("the node listens");
        socket.write_all(bytes.as_bytes()).await.expect("it is sent");
        let heard = heard(socket).await;
        assert!(heard.starts_with(answer) && heard.is_empty() == answer.is_empty(), "{what}: {heard}");
    }
    // One that sends a little now and then is late all the same.
    let mut socket = TcpStream::connect(&address).await.expect("the node listens");
    socket.write_all(post("/graphql", "application/json").as_bytes()).await.expect("it is sent");
    let (mut from, mut to) = socket.into_split();
    let dripping = tokio::spawn(async move {
        while to.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    });
    let mut answer = Vec::new();
    // Reset, perhaps, as it was still sending.
    let _ = from.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"), "{answer:?}");
    dripping.abort();
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_beyond_the_bound_the_process_says_that_it_lives() {
    let limits = ConnectionLimits { most: 1, overflow: 8, ..ConnectionLimits::default() };
    let studio = TestStudio::with_connections(limits).await;
    let address = studio.url.trim_start_matches("http://").to_owned();
    // A socket is at work for as long as it is open.
    let (socket, status) = answer_to(&address, &upgrade(&address)).await;
    assert_eq!(status, "HTTP/1.1 101");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let (turned_away, status) = answer_to(&address, &get("/schema.graphql")).await;
    assert_eq!(status, "HTTP/1.1 503");
    let rest = heard(turned_away).await.to_ascii_lowercase();
    assert!(rest.contains("retry-after: 1") && rest.contains("connection: close"), "{rest}");
    let (_, status) = answer_to(&address, &get("/health/live")).await;
    assert_eq!(status, "HTTP/1.1 200");
    drop(socket);
    until("the place", async || {
        let (_, status) = answer_to(&address, &get("/schema.graphql")).await;
        (status == "HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_sockets_take_no_more_than_half_of_the_places() {
    let limits = ConnectionLimits { most: 4, ..ConnectionLimits::default() };
    let studio = TestStudio::with_connections(limits).await;
    let address = studio.url.trim_start_matches("http://").to_owned();
    let (_first, status) = answer_to(&address, &upgrade(&address)).await;
    assert_eq!(status, "HTTP/1.1 101");
    let (_second, status) = answer_to(&address, &upgrade(&address)).await;
    assert_eq!(status, "HTTP/1.1 101");
    let (_, status) = answer_to(&address, &upgrade(&address)).await;
    assert_eq!(status, "HTTP/1.1 503");
}

/// The head of a request for a socket.
fn upgrade(address: &str) -> String {
    format!(
        "GET /graphql/ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n"
    )
}

/// The connection on which this was sent, and the beginning of its answer.
async fn answer_to(address: &str, bytes: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(address).await.expect("the node listens");
    socket.write_all(bytes.as_bytes()).await.expect("it is sent");
    let mut line = vec![0; 12];
    socket.read_exact(&mut line).await.expect("an answer");
    (socket, String::from_utf8_lossy(&line).into_owned())
}
