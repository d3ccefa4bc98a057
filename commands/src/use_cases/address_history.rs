//! The addresses that an account had, and when it was last given another one: its state remembers neither.

use atelier_domain::account::{Account, AccountEvent};
use atelier_domain::{AccountId, LogEvent, Sealed};
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;

use crate::command_path::CommandError;
use crate::event_store::{PAGE, StoredEvent, StreamId};
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// The instant of the account's last change of address; none when it has the one it was opened with.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn last_change(write: &WriteSide, account: AccountId) -> Result<Option<DateTime<Utc>>, UseCaseError> {
    let stream = StreamId { aggregate_type: Account::TYPE, aggregate_id: account.to_string() };
    let (mut changed, mut after) = (None, 0);
    loop {
        let page = write.path.store().page(&stream, after, PAGE).await;
        let page = page.map_err(|error| CommandError::Internal(error.to_string()))?;
        let Some(last) = page.last().map(|event| event.sequence) else { return Ok(changed) };
        changed = page
            .iter()
            .rev()
            .find(|event| event.event_type == "EmailChanged")
            .map(|event| event.decided_at)
            .or(changed);
        after = last;
    }
}

/// Every address the account has had, sealed, the first one first.
///
/// # Errors
/// When the log cannot be read.
pub(crate) async fn addresses(write: &WriteSide, account: AccountId) -> Result<Vec<Sealed>, UseCaseError> {
    let stream = StreamId { aggregate_type: Account::TYPE, aggregate_id: account.to_string() };
    let (mut addresses, mut after) = (Vec::new(), 0);
    loop {
        let page = write.path.store().page(&stream, after, PAGE).await;
        let page = page.map_err(|error| CommandError::Internal(error.to_string()))?;
        let Some(last) = page.last().map(|event| event.sequence) else { return Ok(addresses) };
        for event in page.iter().filter(|event| matches!(event.event_type.as_str(), "AccountOpened" | "EmailChanged")) {
            if let LogEvent::Account(
                _,
                AccountEvent::AccountOpened { email, .. } | AccountEvent::EmailChanged { email },
            ) = decoded(&stream.aggregate_id, event)?
            {
                addresses.extend(email.sealed().cloned());
            }
        }
        after = last;
    }
}

fn decoded(account: &str, stored: &StoredEvent) -> Result<LogEvent, UseCaseError> {
    LogEvent::decode(Account::TYPE, account, &stored.event_type, &stored.event_version, &stored.payload)
        .map_err(|error| CommandError::Internal(error.to_string()))
}
