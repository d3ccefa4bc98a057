//! Upcasters: how events that older releases stored are read as today's (DESIGN 3, Schema evolution).

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use serde_json::{Value, json};

use crate::decode::DecodeError;

/// The version of an event that was never changed.
const FIRST: &str = "1";

/// Every step there ever was; those of one event in the order of their versions. A step stays for ever, because logs do.
static STEPS: &[Step] = &[
    Step { aggregate_type: "CreditLedger", event_type: "CreditsGranted", from: "1", to: "2", change: without_a_reason },
    Step { aggregate_type: "CreditLedger", event_type: "HoldPlaced", from: "1", to: "2", change: without_a_budget },
    Step { aggregate_type: "Account", event_type: "AccountOpened", from: "1", to: "2", change: opened_by_password },
    Step { aggregate_type: "Account", event_type: "ApiKeyCreated", from: "1", to: "2", change: without_caps },
];

/// Version 1 of a grant did not say where its credits came from beyond their kind (L23).
fn without_a_reason(mut payload: Value) -> Value {
    if let Some(Value::Object(grant)) = payload.get_mut("CreditsGranted") {
        grant.insert("reason".to_owned(), json!({ "kind": "unrecorded" }));
    }
    payload
}

/// Version 1 of a hold came by a key without caps, or by none (U21).
fn without_a_budget(mut payload: Value) -> Value {
    if let Some(Value::Object(hold)) = payload.get_mut("HoldPlaced") {
        hold.insert("budget".to_owned(), Value::Null);
    }
    payload
}

/// Version 1 of an account had a password and the claim of its address, and nobody was asked for an age (U42).
fn opened_by_password(mut payload: Value) -> Value {
    if let Some(Value::Object(opened)) = payload.get_mut("AccountOpened") {
        opened.insert("minimum_age".to_owned(), Value::Null);
        opened.insert("address_claimed".to_owned(), json!(true));
        opened.insert("has_password".to_owned(), json!(true));
    }
    payload
}

/// Version 1 of an API key could not be capped, and replaced no other (U21, B18).
fn without_caps(mut payload: Value) -> Value {
    if let Some(Value::Object(created)) = payload.get_mut("ApiKeyCreated") {
        created.insert("caps".to_owned(), json!({ "daily": null, "total": null }));
        created.insert("replaces".to_owned(), Value::Null);
    }
    payload
}

/// One event of one aggregate, from one schema version to the next.
#[derive(Clone, Copy)]
struct Step {
    aggregate_type: &'static str,
    event_type: &'static str,
    from: &'static str,
    to: &'static str,
    /// Total: a payload that is not what its version says comes out as little fit to be decoded as it was.
    change: fn(Value) -> Value,
}

impl EventUpcaster for Step {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        self.event_type == event_type && self.from == event_version
    }

    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        // `can_upcast` is not told the aggregate; an event of another one may have the same name.
        if event.aggregate_type != self.aggregate_type {
            return event;
        }
        SerializedEvent { event_version: self.to.to_owned(), payload: (self.change)(event.payload), ..event }
    }
}

/// The steps as cqrs-es's own stores take them (`with_upcasters`), in their order.
#[must_use]
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    STEPS.iter().map(|step| -> Box<dyn EventUpcaster> { Box::new(*step) }).collect()
}

/// The schema version in which this program stores an event: where its last step leads, or the first.
pub(crate) fn version_of(aggregate_type: &str, event_type: &str) -> &'static str {
    steps_of(aggregate_type, event_type).last().map_or(FIRST, |step| step.to)
}

fn steps_of(aggregate_type: &str, event_type: &str) -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(move |step| step.event_type == event_type && step.aggregate_type == aggregate_type)
}

/// A payload in the form of today's version.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// It was stored in that form.
    AsStored(&'a str),
    /// It was stored in an older one.
    Upcast(Value),
}

/// Brings a payload to today's version of its event. One that is stored in it is passed on unread, so that only old events cost anything.
///
/// # Errors
/// `UnknownVersion` for one of a newer release, or one that never was; `MalformedPayload` when an older payload is no JSON.
pub(crate) fn current<'a>(
    aggregate_type: &str,
    event_type: &str,
    version: &str,
    payload: &'a str,
) -> Result<Payload<'a>, DecodeError> {
    let newest = version_of(aggregate_type, event_type);
    if version == newest {
        return Ok(Payload::AsStored(payload));
    }
    let steps: Vec<_> =
        steps_of(aggregate_type, event_type).skip_while(|step| step.from != version).map(|step| step.change).collect();
    let (event_type, version) = (event_type.to_owned(), version.to_owned());
    if steps.is_empty() {
        return Err(DecodeError::UnknownVersion { event_type, version });
    }
    let stored: Value =
        serde_json::from_str(payload).map_err(|source| DecodeError::MalformedPayload { event_type, source })?;
    Ok(Payload::Upcast(steps.into_iter().fold(stored, |payload, change| change(payload))))
}

#[cfg(test)]
mod tests;
