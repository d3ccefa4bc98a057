//! One HTTP/1.1 exchange as bytes on a socket: nothing is tidied up on the way, as a client library would.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::TestStudio;

/// How long an answer may take; `/v1/generate` waits 30 seconds for its job at most.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }

    /// The error's code.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error's code").to_owned()
    }

    /// The same without what differs between any two answers.
    pub fn timeless(mut self) -> Self {
        self.headers.remove("date");
        self.headers.remove("x-request-id");
        self
    }
}

/// Sends these bytes after a request line and these headers; nothing is added but `Host` and `Connection`.
pub async fn send(studio: &TestStudio, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut socket = TcpStream::connect(studio.node.address).await.expect("the node listens");
    let mut request = format!("{line} HTTP/1.1\r\nhost: atelier\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (request + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    socket.write_all(&bytes).await.expect("the request is sent");
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    read.unwrap_or_else(|_| panic!("{line} is not answered")).expect("the answer arrives");
    parse(&String::from_utf8_lossy(&answer))
}

/// A request with its body's length.
pub async fn call(studio: &TestStudio, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let length = body.len().to_string();
    let headers = [headers, &[("content-length", length.as_str())]].concat();
    send(studio, line, &headers, body.as_bytes()).await
}

/// A JSON request with a key.
pub async fn with_key(studio: &TestStudio, line: &str, key: &str, body: &str) -> Reply {
    let authorization = format!("Bearer {key}");
    call(studio, line, &[("authorization", &authorization), ("content-type", "application/json")], body).await
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an HTTP answer: {answer:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Reply { status, headers, body: body.to_owned() }
}
