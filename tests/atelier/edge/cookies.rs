//! The cookies we read, among whatever a browser sends beside them; the table of octets is at the reader.

use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{COOKIE, ME};
use crate::harness::TestStudio;
use crate::harness::socket::{Heard, Socket};

/// Lines of `Cookie` that hold the pair, each in another way.
fn lines(pair: &str) -> Vec<Vec<Vec<u8>>> {
    let (name, value) = pair.split_once('=').expect("a pair");
    let one = |line: String| vec![line.into_bytes()];
    vec![
        one(pair.to_owned()),
        one(format!("a=1;{pair}")),
        one(format!("a=1;{pair};b=2")),
        one(format!("a=1;; ;{pair};")),
        one(format!("=x; bare; {pair}")),
        one(format!("{name}=\"{value}\"")),
        one(format!("a=\"; {pair}")),
        one(format!("a={{\"b\":[1,2]}}; {pair}")),
        vec![[b"a=\xe9\xff; ".as_slice(), pair.as_bytes()].concat()],
        vec![b"a=1".to_vec(), pair.as_bytes().to_vec()],
        vec![b"\xff".to_vec(), pair.as_bytes().to_vec(), b"b=2".to_vec()],
        one(format!("{pair}; {name}=another")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_a_session_is_found_whatever_stands_beside_its_cookie() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    for lines in lines(&format!("{COOKIE}={}", person.token)) {
        let mut request = studio.client().post(format!("{}/graphql", studio.url)).json(&json!({ "query": ME }));
        for line in &lines {
            request = request.header("cookie", HeaderValue::from_bytes(line).expect("a header"));
        }
        let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert!(answer["data"]["me"]["id"].is_string(), "{shown:?}: {answer}");
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_sockets_read_the_same_cookie() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    for line in [format!("a=1;{COOKIE}={}", person.token), format!(";;{COOKIE}=\"{}\";b", person.token)] {
        let headers = [
            ("sec-websocket-protocol", "graphql-transport-ws"),
            ("origin", studio.url.as_str()),
            ("cookie", line.as_str()),
        ];
        let mut socket = Socket::open(&studio.url, &headers).await.expect("an upgrade");
        // As clients say it that have no token of their own.
        socket.say(&json!({ "type": "connection_init", "payload": { "authorization": "" } })).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })), "{line}");
    }
    // A cookie that is hidden no more counts as one: only pages may bring it.
    let hidden = format!("a=1;{COOKIE}={}", person.token);
    let headers = [("sec-websocket-protocol", "graphql-transport-ws"), ("cookie", hidden.as_str())];
    assert_eq!(Socket::open(&studio.url, &headers).await.err(), Some(403));
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_the_devices_cookie_is_read_the_same_way() {
    let studio = TestStudio::start().await;
    let person = studio.newcomer("ada").await;
    let sign_in = "mutation($input: SignInInput!) { signIn(input: $input) { deviceToken userErrors { code } } }";
    let tried = |password: &str| json!({ "input": { "email": person.email, "password": password } });
    let signed_in = studio.mutate(None, sign_in, tried(crate::harness::studio::PASSWORD)).await;
    let device = signed_in["deviceToken"].as_str().expect("a token").to_owned();
    // Strangers' tries, until they are slowed down; the device is not.
    for _ in 0..30 {
        studio.graphql_raw(None, sign_in, tried("wrong-horse-1")).await;
    }
    let right = tried(crate::harness::studio::PASSWORD);
    let slowed = studio.graphql_raw(None, sign_in, right.clone()).await;
    assert_eq!(slowed["data"]["signIn"]["userErrors"][0]["code"], json!("RATE_LIMITED"), "the scene");
    for line in [format!("a=1;atelier-device-dev={device}"), format!(";;atelier-device-dev=\"{device}\"")] {
        let known = studio.graphql_with(&[("cookie", &line)], sign_in, right.clone()).await.json();
        assert_eq!(known["data"]["signIn"]["userErrors"], json!([]), "{line}");
    }
    studio.stop().await;
}
