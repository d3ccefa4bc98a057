//! The command path: load, decide, seal, append, acknowledge (DESIGN 3).

use std::sync::Arc;

use atelier_domain::{AccountId, Actor, EventId, EventMetadata, PersonalFields};
use atelier_vault::credential_rows::RowError;
use atelier_vault::{RandomBytes, Vault, VaultError};
use chrono::{DateTime, Utc};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use uuid::Uuid;

use crate::event_store::{
    Append, AppendError, Appended, EventStore, IdempotencyKey, NewEvent, Position, StoredEvent, StreamId,
};
use crate::ports::{Clock, fresh_id};

/// How often a command is decided again after somebody else's append, before it is a typed conflict.
const MAX_DECISIONS: u32 = 16;

/// Who asks, and in the course of what.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Who asks.
    pub actor: Actor,
    /// The request or process this belongs to.
    pub correlation_id: Uuid,
    /// What led directly to it.
    pub causation_id: Uuid,
}

/// An aggregate as the log has it now.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The folded state.
    pub state: A,
    /// The sequence of its last event; 0 when there is none.
    pub sequence: i64,
    /// The position of its last event.
    pub position: Position,
    /// The instant of its last event.
    pub decided_at: Option<DateTime<Utc>>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub enum Executed<A: Aggregate> {
    /// Its events are durable; none when there was nothing to do.
    Done {
        /// The state after them.
        state: A,
        /// The events, sealed.
        events: Vec<A::Event>,
        /// The position to read from to see them.
        position: Position,
    },
    /// Its idempotency key was used before for the same request.
    Repeat {
        /// What the first request was answered with.
        result: String,
        /// The position of the first request.
        position: Position,
    },
}

impl<A: Aggregate> Executed<A> {
    /// The position to read from to see what was done.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self {
            Self::Done { position, .. } | Self::Repeat { position, .. } => *position,
        }
    }
}

/// Why a command did nothing, or why nobody knows. `Refused` is a rule's word; everything else is not (L06).
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E> {
    /// A rule refused.
    #[error("{0}")]
    Refused(E),
    /// The aggregate stayed too busy.
    #[error("too many commands at the same moment; try again")]
    Conflict,
    /// The idempotency key was used before for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Overloaded or unreachable: nothing was done; try again later.
    #[error("temporarily unavailable")]
    Unavailable,
    /// The outcome is unknown (503 `outcome_unknown`).
    #[error("the outcome is unknown; ask again with the same idempotency key")]
    OutcomeUnknown,
    /// The account's key is gone: it was erased.
    #[error("the account was erased")]
    Erased,
    /// A fault that a person must look at; the cause is for logs, the edges never send it.
    #[error("internal error: {0}")]
    Internal(String),
}

impl<E> CommandError<E> {
    /// The same error with the rule's refusal turned into another type.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> CommandError<F> {
        match self {
            Self::Refused(refusal) => CommandError::Refused(map(refusal)),
            Self::Conflict => CommandError::Conflict,
            Self::KeyReused => CommandError::KeyReused,
            Self::Unavailable => CommandError::Unavailable,
            Self::OutcomeUnknown => CommandError::OutcomeUnknown,
            Self::Erased => CommandError::Erased,
            Self::Internal(cause) => CommandError::Internal(cause),
        }
    }
}

impl<E> From<VaultError> for CommandError<E> {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::KeyShredded => Self::Erased,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl<E> From<RowError> for CommandError<E> {
    fn from(error: RowError) -> Self {
        tracing::warn!(%error, "a row beside the log could not be reached");
        Self::Unavailable
    }
}

/// Where a command goes, and whose keys seal what it says.
#[derive(Debug, Clone)]
pub struct Target {
    /// The aggregate's id.
    pub id: String,
    /// The account whose keys seal personal fields.
    pub subject: AccountId,
}

/// Loads, decides, seals and appends.
#[derive(Clone)]
pub struct CommandPath {
    store: Arc<dyn EventStore>,
    vault: Vault,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomBytes>,
}

impl CommandPath {
    /// Hangs the path on a store, a vault, a clock and a source of ids.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, vault: Vault, clock: Arc<dyn Clock>, random: Arc<dyn RandomBytes>) -> Self {
        Self { store, vault, clock, random }
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Folds an aggregate from the log.
    ///
    /// # Errors
    /// When the log cannot be read, or holds an event of this stream that the program does not know.
    pub async fn load<A: Aggregate>(&self, id: &str) -> Result<Loaded<A>, CommandError<A::Error>> {
        let stream = stream::<A>(id);
        let events = self.store.load(&stream, 0).await.map_err(|error| {
            tracing::warn!(%error, "a stream could not be loaded");
            CommandError::Unavailable
        })?;
        let mut loaded = Loaded { state: A::default(), sequence: 0, position: Position(0), decided_at: None };
        for stored in events {
            let event: A::Event = decode(&stored)?;
            loaded.state.apply(event);
            loaded.sequence = stored.sequence;
            loaded.position = stored.position;
            loaded.decided_at = Some(stored.decided_at);
        }
        Ok(loaded)
    }

    /// Decides a command on the aggregate as it is, appends what it causes, and answers once that is durable. The command is
    /// made from the instant it is decided at: the clock's, but never before the stream's last event.
    ///
    /// # Errors
    /// A [`CommandError`]; after `Conflict`, `Unavailable` and `Refused` nothing was written.
    pub async fn execute<A>(
        &self,
        target: &Target,
        context: &CommandContext,
        key: Option<&IdempotencyKey>,
        command: impl Fn(DateTime<Utc>) -> A::Command + Send + Sync,
    ) -> Result<Executed<A>, CommandError<A::Error>>
    where
        A: Aggregate<Services = ()> + Clone,
        A::Command: Send,
        A::Event: PersonalFields,
    {
        for _ in 0..MAX_DECISIONS {
            let loaded = self.load::<A>(&target.id).await?;
            let now = self.clock.now().max(loaded.decided_at.unwrap_or(DateTime::<Utc>::MIN_UTC));
            // Decided on a clone: a refusal after a write would leave the state half applied.
            let sink = EventSink::<A>::default();
            if let Err(refusal) = loaded.state.clone().handle(command(now), &(), &sink).await {
                // A twin with the same key may have changed what this decision stood on: then its answer is this one's too.
                return self.repeat(key).await?.ok_or(CommandError::Refused(refusal));
            }
            let mut events = sink.collect().await;
            if events.is_empty() {
                return Ok(Executed::Done { state: loaded.state, events, position: loaded.position });
            }
            let stored = self.store_form::<A>(target, context, now, &mut events).await?;
            let append = Append {
                stream: stream::<A>(&target.id),
                expected_sequence: loaded.sequence,
                events: stored,
                key: key.cloned(),
            };
            match self.store.append(append).await {
                Ok(Appended::Written { position }) => {
                    let mut state = loaded.state;
                    events.iter().for_each(|event| state.apply(event.clone()));
                    return Ok(Executed::Done { state, events, position });
                }
                Ok(Appended::Repeat { result, position }) => return Ok(Executed::Repeat { result, position }),
                Err(AppendError::Conflict) => metrics::counter!("atelier_command_conflicts_total").increment(1),
                Err(AppendError::KeyReused) => return Err(CommandError::KeyReused),
                Err(AppendError::Overloaded) => return Err(CommandError::Unavailable),
                Err(AppendError::OutcomeUnknown) => return Err(CommandError::OutcomeUnknown),
                Err(AppendError::Rejected(code)) => {
                    return Err(CommandError::Internal(format!("append refused: {code}")));
                }
            }
        }
        Err(CommandError::Conflict)
    }

    /// The answer that an idempotency key already has, if it was used for the same request.
    ///
    /// # Errors
    /// `KeyReused` when it was used for another request; `Unavailable` when the log cannot be read.
    pub async fn repeat<A: Aggregate>(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Executed<A>>, CommandError<A::Error>> {
        let Some(key) = key else { return Ok(None) };
        let used = self.store.find_key(key.account, &key.key).await.map_err(|error| {
            tracing::warn!(%error, "an idempotency key could not be looked up");
            CommandError::Unavailable
        })?;
        match used {
            None => Ok(None),
            Some(used) if used.fingerprint == key.fingerprint => {
                Ok(Some(Executed::Repeat { result: used.result, position: used.position }))
            }
            Some(_) => Err(CommandError::KeyReused),
        }
    }

    async fn store_form<A>(
        &self,
        target: &Target,
        context: &CommandContext,
        now: DateTime<Utc>,
        events: &mut [A::Event],
    ) -> Result<Vec<NewEvent>, CommandError<A::Error>>
    where
        A: Aggregate,
        A::Event: PersonalFields,
    {
        let metadata = EventMetadata {
            actor: context.actor.clone(),
            correlation_id: context.correlation_id,
            causation_id: context.causation_id,
        };
        let metadata = serde_json::to_string(&metadata).map_err(|error| CommandError::Internal(error.to_string()))?;
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            let event_id = EventId(fresh_id(self.random.as_ref(), now));
            let event_type = event.event_type();
            self.vault.seal_fields(target.subject, event_id, &event_type, event).await?;
            let payload = serde_json::to_string(event).map_err(|error| CommandError::Internal(error.to_string()))?;
            let event_version = event.event_version();
            stored.push(NewEvent {
                event_id,
                event_type,
                event_version,
                payload,
                metadata: metadata.clone(),
                decided_at: now,
            });
        }
        Ok(stored)
    }
}

/// An event of the stream, if this program knows this version of it: one of a newer release must not be guessed at.
fn decode<E: DomainEvent, R>(stored: &StoredEvent) -> Result<E, CommandError<R>> {
    let unknown =
        |what: &str| CommandError::Internal(format!("{} at {:?}: {what}", stored.event_type, stored.position));
    let event: E = serde_json::from_str(&stored.payload).map_err(|error| unknown(&error.to_string()))?;
    let same = event.event_type() == stored.event_type && event.event_version() == stored.event_version;
    if same { Ok(event) } else { Err(unknown(&format!("unknown version {}", stored.event_version))) }
}

fn stream<A: Aggregate>(id: &str) -> StreamId {
    StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_owned() }
}
