//! The claim of a rename: how it ends, whoever ends it (U29, DESIGN 4, Uniqueness).
//!
//! The log says which name an account has; a pending claim is settled when it is that name, and given up when it cannot become it
//! any more. A rename decides within [`DECIDES_WITHIN`] of its claim and never later; so once the account's stream has moved after
//! [`MOVED_AFTER`], whatever it may still have on its way conflicts, and its claim can go. Until then the name stays taken.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, AccountEvent, Status};
use atelier_domain::decode_event;
use atelier_domain::policy::account::RENAME_REDIRECT;
use atelier_domain::text::Username;
use atelier_vault::credential_rows::claims::{self, PendingName};
use atelier_vault::{IndexKind, Opened};
use chrono::TimeDelta;
use cqrs_es::Aggregate;

use super::account_claims::username_digest;
use crate::command_path::CommandError;
use crate::event_store::{PAGE, StreamId};
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// How long after its claim a rename may still decide.
pub(super) const DECIDES_WITHIN: TimeDelta = TimeDelta::minutes(1);
/// An event this long after the claim was decided after every decision of the rename, whatever the nodes' clocks (DESIGN 8: within a
/// second of the database's).
pub(super) const MOVED_AFTER: TimeDelta = TimeDelta::minutes(5);
/// The most pending names of one account that are looked at.
pub(super) const LEFTOVERS: i64 = 10;

/// The name an account has by the log, open; `None` when it has none, or its key is gone.
pub(super) async fn current(write: &WriteSide, account: AccountId) -> Result<Option<Username>, UseCaseError> {
    let stream = StreamId { aggregate_type: Account::TYPE, aggregate_id: account.to_string() };
    let (mut after, mut name) = (0, None);
    loop {
        let page = write.path.store().page(&stream, after, PAGE).await?;
        for stored in &page {
            // Only these two name it; other payloads need not be read.
            if !matches!(stored.event_type.as_str(), "AccountOpened" | "UsernameChanged") {
                continue;
            }
            let event = decode_event(Account::TYPE, &stored.event_type, &stored.event_version, &stored.payload);
            match event.map_err(|error| CommandError::Internal(error.to_string()))? {
                AccountEvent::AccountOpened { username, .. } | AccountEvent::UsernameChanged { username, .. } => {
                    name = username.sealed().cloned();
                }
                _ => {}
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.sequence,
            _ => break,
        }
    }
    let Some(sealed) = name else { return Ok(None) };
    match write.vault.open(account, "username", &sealed).await? {
        // What was allowed once stays its name, also when it is reserved by now.
        Opened::Text(name) => Ok(serde_json::from_value(name.into()).ok()),
        Opened::Erased => Ok(None),
    }
}

/// Whether this is how it ended: `Some(true)` settled, `Some(false)` given up, `None` not known yet.
pub(crate) async fn end(write: &WriteSide, pending: &PendingName) -> Result<Option<bool>, UseCaseError> {
    let PendingName { index: username, account, claimed_at } = pending;
    // The state before the name: an event in between can only make the claim stay longer.
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    let current = current(write, *account).await?;
    if current.is_some_and(|current| username_digest(write, &current) == *username) {
        claims::complete_rename(&write.pool, *account, username, write.now() + RENAME_REDIRECT).await?;
        return Ok(Some(true));
    }
    let moved = loaded.decided_at.is_some_and(|last| last > *claimed_at + MOVED_AFTER);
    if moved || loaded.state.status() != Status::Open {
        claims::give_up(&write.pool, *account, username, *claimed_at).await?;
        return Ok(Some(false));
    }
    Ok(None)
}

/// Ends what earlier renames of an account have left, as far as it can be ended.
pub(super) async fn end_leftovers(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    for pending in
        claims::pending_before(&write.pool, IndexKind::Username, Some(account), write.now(), LEFTOVERS).await?
    {
        end(write, &pending).await?;
    }
    Ok(())
}
