//! The messages of `graphql-transport-ws`, and the codes a socket is closed with.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest id of a subscription, bytes: an UUID or a counter, and room.
const MAX_ID: usize = 128;

/// Why a socket is closed; the codes from 4400 on are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The node stops; come again, to another one.
    GoingAway,
    /// A message over the limit.
    TooBig,
    /// The account has as many sockets as it may.
    TooManySockets,
    /// The client takes its messages too slowly, or does not answer pings.
    Unresponsive,
    /// Not a message of the protocol.
    BadMessage,
    /// A subscription before `connection_init`.
    Unauthorized,
    /// No session, or none any more.
    Forbidden,
    /// The subprotocol is another one.
    BadSubprotocol,
    /// No `connection_init` in time.
    InitTimeout,
    /// A subscription's id is taken.
    Duplicate,
    /// A second `connection_init`.
    TwiceInit,
    /// More messages than may be.
    TooManyMessages,
    /// The database does not answer; come again. (4500 would make clients give up for good.)
    Unavailable,
}

impl Closing {
    /// The code.
    pub const fn code(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::TooBig => 1009,
            Self::TooManySockets | Self::Unresponsive | Self::Unavailable => 1013,
            Self::BadMessage => 4400,
            Self::Unauthorized => 4401,
            Self::Forbidden => 4403,
            Self::BadSubprotocol => 4406,
            Self::InitTimeout => 4408,
            Self::Duplicate => 4409,
            Self::TwiceInit | Self::TooManyMessages => 4429,
        }
    }

    /// What stands beside it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "The server stops",
            Self::TooBig => "The message is too big",
            Self::TooManySockets => "Too many sockets",
            Self::Unresponsive => "The client is too slow",
            Self::BadMessage => "Invalid message",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::BadSubprotocol => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::Duplicate => "Subscriber already exists",
            Self::TwiceInit => "Too many initialisation requests",
            Self::TooManyMessages => "Too many messages",
            Self::Unavailable => "Temporarily unavailable",
        }
    }
}

/// What a client says.
#[derive(Debug)]
pub enum Said {
    /// `connection_init`, with what its payload has as `authorization`.
    Init { authorization: Option<String> },
    /// `ping`.
    Ping,
    /// `pong`.
    Pong,
    /// `subscribe`.
    Subscribe { id: String, payload: Box<RawValue> },
    /// `complete`.
    Complete { id: String },
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct InitPayload {
    #[serde(alias = "Authorization")]
    authorization: Option<String>,
}

impl Said {
    /// Reads a message; `None` when it is none of the protocol.
    pub fn read(text: &str) -> Option<Self> {
        let Message { kind, id, payload } = serde_json::from_str(text).ok()?;
        let id = id.filter(|id| (1..=MAX_ID).contains(&id.len()));
        match kind.as_str() {
            "connection_init" => {
                let payload: Option<InitPayload> = match payload {
                    Some(payload) => serde_json::from_str(payload.get()).ok()?,
                    None => None,
                };
                Some(Self::Init { authorization: payload.and_then(|payload| payload.authorization) })
            }
            "ping" => Some(Self::Ping),
            "pong" => Some(Self::Pong),
            "subscribe" => Some(Self::Subscribe { id: id?, payload: payload? }),
            "complete" => Some(Self::Complete { id: id? }),
            _ => None,
        }
    }
}

/// What the server says.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl<'a> Answer<'a> {
    /// Without an id: `connection_ack`, `pong`.
    pub const fn plain(kind: &'static str) -> Self {
        Self { kind, id: None, payload: None }
    }

    /// To a subscription: `next`, `error`, `complete`.
    pub const fn to(id: &'a str, kind: &'static str, payload: Option<&'a RawValue>) -> Self {
        Self { kind, id: Some(id), payload }
    }

    /// Which message it is.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and JSON are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_protocol_knows_is_read() {
        let init = |text: &str| match Said::read(text) {
            Some(Said::Init { authorization }) => Some(authorization),
            _ => None,
        };
        assert_eq!(init(r#"{"type":"connection_init"}"#), Some(None));
        assert_eq!(init(r#"{"type":"connection_init","payload":null}"#), Some(None));
        assert_eq!(init(r#"{"type":"connection_init","payload":{"other":1}}"#), Some(None));
        let with = init(r#"{"type":"connection_init","payload":{"authorization":"Bearer t"}}"#);
        assert_eq!(with, Some(Some("Bearer t".to_owned())));
        assert_eq!(init(r#"{"type":"connection_init","payload":{"Authorization":"Bearer t"}}"#), with);
        assert!(matches!(Said::read(r#"{"type":"ping","payload":{}}"#), Some(Said::Ping)));
        assert!(matches!(Said::read(r#"{"id":"1","type":"complete"}"#), Some(Said::Complete { id }) if id == "1"));
        let long = format!(r#"{{"id":"{}","type":"complete"}}"#, "i".repeat(MAX_ID + 1));
        for bad in [
            "",
            "{",
            "[]",
            "1",
            "{}",
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":7,"payload":{}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_ack"}"#,
            r#"{"type":"next","id":"1","payload":{}}"#,
            r#"{"type":"start","id":"1","payload":{}}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"connection_init","payload":{"authorization":7}}"#,
            r#"{"type":7}"#,
            long.as_str(),
        ] {
            assert!(Said::read(bad).is_none(), "{bad}");
        }
    }
}
