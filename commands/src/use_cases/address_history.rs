//! When an account was last given another address: its state does not remember times.

use atelier_domain::AccountId;
use atelier_domain::account::Account;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;

use crate::command_path::CommandError;
use crate::event_store::{PAGE, StreamId};
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
