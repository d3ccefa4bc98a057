//! Security events as log lines, for whoever watches over a deployment: target `security`, with the event's name, who caused it by kind,
//! and the request's id, by which other lines are found. Never whose account it was, nor any value: the log of events has those.

use atelier_domain::Actor;
use cqrs_es::DomainEvent;

use crate::command_path::CommandContext;

/// The events that are security's, by the names they have in the log.
const EVENTS: [&str; 20] = [
    "AccountDeletionRequested",
    "AccountErased",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "EmailChanged",
    "ExternalIdentityLinked",
    "ExternalIdentityUnlinked",
    "PasswordChanged",
    "PasswordResetRequested",
    "RecoveryCodeUsed",
    "RecoveryCodesRenewed",
    "RoleGranted",
    "RoleWithdrawn",
    "SessionEnded",
    "SessionStarted",
    "StaffActionRecorded",
    "TwoFactorDisabled",
    "TwoFactorEnabled",
    "TwoFactorResetRequested",
    "TwoFactorResetStopped",
];

const fn kind(actor: &Actor) -> &'static str {
    match actor {
        Actor::Anonymous => "anonymous",
        Actor::Account(_) => "account",
        Actor::ApiKey(_) => "api_key",
        Actor::Process(_) => "process",
        Actor::Operator => "operator",
    }
}

/// Says which of the events that were just written are security's.
pub fn written<E: DomainEvent>(context: &CommandContext, events: &[E]) {
    for event in events {
        let name = event.event_type();
        if EVENTS.contains(&name.as_str()) {
            let actor = kind(&context.actor);
            tracing::info!(target: "security", event = name, actor, correlation_id = %context.correlation_id, "security event");
        }
    }
}

/// Says that somebody was refused, and by which rule.
pub fn refused(event: &'static str, rule: &'static str) {
    tracing::info!(target: "security", event, rule, "security event");
}
