//! A client of `/graphql/ws`, by an implementation of WebSocket that is not ours.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// A close with its code.
    Closed(u16),
    /// An end without a close.
    Gone,
}

impl Socket {
    /// Upgrades, by these headers; the status when that is refused.
    pub async fn open(url: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let url = format!("{}/graphql/ws", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("an address");
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a header"));
        }
        match timeout(PATIENCE, connect_async(request)).await.expect("the node answers") {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("no upgrade: {other}"),
        }
    }

    /// Upgrades with the subprotocol and nothing else.
    pub async fn plain(url: &str) -> Self {
        Self::open(url, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.expect("an upgrade")
    }

    /// A socket that a session has been let into.
    pub async fn signed_in(url: &str, token: &str) -> Self {
        let mut socket = Self::plain(url).await;
        assert_eq!(socket.enter(token).await, Heard::Message(json!({ "type": "connection_ack" })));
        socket
    }

    /// Says `connection_init` with a token; what comes then.
    pub async fn enter(&mut self, token: &str) -> Heard {
        let payload = json!({ "authorization": format!("Bearer {token}") });
        self.say(&json!({ "type": "connection_init", "payload": payload })).await;
        self.hear().await
    }

    /// Says something.
    pub async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await.expect("the node listens");
    }

    /// Sends a frame of any kind.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        timeout(PATIENCE, self.0.send(message)).await.expect("the node takes it")
    }

    /// Subscribes.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// What comes next, pings of WebSocket left out.
    pub async fn hear(&mut self) -> Heard {
        timeout(PATIENCE, self.listen()).await.expect("something comes in time")
    }

    /// What comes within so long, if anything.
    pub async fn hear_within(&mut self, time: Duration) -> Option<Heard> {
        timeout(time, self.listen()).await.ok()
    }

    async fn listen(&mut self) -> Heard {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Message(serde_json::from_str(&text).expect("the node speaks JSON"));
                }
                Some(Ok(Message::Close(Some(frame)))) => return Heard::Closed(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// The next event of a subscription, its one field.
    pub async fn next(&mut self, id: &str) -> Value {
        match self.hear().await {
            Heard::Message(mut message) if message["type"] == "next" && message["id"] == id => {
                assert!(message["payload"].get("errors").is_none(), "{message}");
                let data = message["payload"]["data"].take();
                data.as_object().and_then(|data| data.values().next()).cloned().expect("one root field")
            }
            other => panic!("no event of {id}: {other:?}"),
        }
    }

    /// The code of the error that ends a subscription.
    pub async fn error(&mut self, id: &str) -> String {
        match self.hear().await {
            Heard::Message(message) if message["type"] == "error" && message["id"] == id => {
                let [error] = message["payload"].as_array().expect("errors").as_slice() else {
                    panic!("one error was expected: {message}")
                };
                assert!(error["extensions"]["traceId"].is_string(), "sec.R6: {message}");
                error["extensions"]["code"].as_str().expect("a code").to_owned()
            }
            other => panic!("no error of {id}: {other:?}"),
        }
    }

    /// That it is still open and says nothing else: a ping is answered.
    pub async fn is_open(&mut self) {
        self.say(&json!({ "type": "ping" })).await;
        assert_eq!(self.hear().await, Heard::Message(json!({ "type": "pong" })));
    }
}
