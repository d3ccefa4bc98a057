//! A command as it was issued: by whom, to which aggregate, under which key; and the stored form of what it causes.

use atelier_domain::{AccountId, Actor, EventId, EventMetadata, PersonalFields};
use atelier_vault::{RandomBytes, Vault};
use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use uuid::Uuid;

use super::error::CommandError;
use crate::event_store::{IdempotencyKey, NewEvent};
use crate::ports::fresh_id;

/// Who asks, and in the course of what.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Who asks.
    pub actor: Actor,
    /// The request or process this belongs to.
    pub correlation_id: Uuid,
    /// What led directly to it.
    pub causation_id: Uuid,
    /// The client's idempotency key, for the one append that stands for the whole request: a use case names that append.
    pub key: Option<IdempotencyKey>,
}

impl CommandContext {
    /// The client's key, to ride on the append that stands for the request.
    #[must_use]
    pub const fn key(&self) -> Option<&IdempotencyKey> {
        self.key.as_ref()
    }

    /// The client's key with what a repeat is answered with: ids only.
    #[must_use]
    pub fn key_with(&self, result: &impl ToString) -> Option<IdempotencyKey> {
        self.key.as_ref().map(|key| IdempotencyKey { result: result.to_string(), ..key.clone() })
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

/// All that is known of a command beside what it says.
#[derive(Clone, Copy)]
pub(super) struct Issued<'a> {
    pub target: &'a Target,
    pub context: &'a CommandContext,
    pub key: Option<&'a IdempotencyKey>,
}

impl Issued<'_> {
    /// Seals the events and writes them as they are stored.
    pub(super) async fn stored_form<E: DomainEvent + PersonalFields, R>(
        &self,
        vault: &Vault,
        random: &dyn RandomBytes,
        now: DateTime<Utc>,
        events: &mut [E],
    ) -> Result<Vec<NewEvent>, CommandError<R>> {
        let metadata = EventMetadata {
            actor: self.context.actor.clone(),
            correlation_id: self.context.correlation_id,
            causation_id: self.context.causation_id,
        };
        let metadata = json(&metadata)?;
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            let event_id = EventId(fresh_id(random, now));
            let event_type = event.event_type();
            vault.seal_fields(self.target.subject, event_id, &event_type, event).await?;
            stored.push(NewEvent {
                event_id,
                event_type,
                event_version: event.event_version(),
                payload: json(event)?,
                metadata: metadata.clone(),
                decided_at: now,
            });
        }
        Ok(stored)
    }
}

fn json<R>(value: &impl serde::Serialize) -> Result<String, CommandError<R>> {
    serde_json::to_string(value).map_err(|error| CommandError::Internal(error.to_string()))
}
