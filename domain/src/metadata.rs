//! What every event carries beside its payload (DESIGN 3, property 7).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{AccountId, ApiKeyId, EventId, LogEvent};

/// Who caused an event. Random ids only, nothing personal. Stored as text, as every value of the metadata is: the stock
/// repository's readers expect a map of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Nobody signed in: sign-up, sign-in.
    Anonymous,
    /// The account itself, by a session: `account:<id>`.
    Account(AccountId),
    /// The account, by one of its API keys: `api_key:<id>`.
    ApiKey(ApiKeyId),
    /// A process manager, by its name: `process:<name>`.
    Process(String),
    /// The operator's command line or the demo studio.
    Operator,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Account(id) => write!(f, "account:{id}"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::Process(name) => write!(f, "process:{name}"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// The text names no kind of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an actor")]
pub struct UnknownActor;

impl FromStr for Actor {
    type Err = UnknownActor;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "anonymous" => Ok(Self::Anonymous),
            None if text == "operator" => Ok(Self::Operator),
            Some(("account", id)) => id.parse().map(Self::Account).map_err(|_| UnknownActor),
            Some(("api_key", id)) => id.parse().map(Self::ApiKey).map_err(|_| UnknownActor),
            Some(("process", name)) => Ok(Self::Process(name.to_owned())),
            None | Some(_) => Err(UnknownActor),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The metadata stored beside an event's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMetadata {
    /// Who caused it.
    pub actor: Actor,
    /// The request or process all of these events belong to.
    pub correlation_id: Uuid,
    /// The event or request that led directly to this one.
    pub causation_id: Uuid,
}

/// One event as the log holds it, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Place in the log, dense from 1.
    pub position: i64,
    /// The event's own id.
    pub event_id: EventId,
    /// Place in its stream, from 1.
    pub sequence: i64,
    /// The command's clock; the only time rules and read models use.
    pub decided_at: DateTime<Utc>,
    /// The store's clock; never runs backwards along positions; for audit and as-of.
    pub recorded_at: DateTime<Utc>,
    /// Actor, correlation and causation.
    pub metadata: EventMetadata,
    /// The event and the stream it belongs to.
    pub event: LogEvent,
}
