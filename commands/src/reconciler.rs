//! The reconciler: completes either half of what a dead process left between a credential row and its event (DESIGN 4), and removes
//! what has had its time.

mod sign_in_rows;

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_domain::account::{Account, AccountCommand, SessionEnd};
use atelier_domain::{AccountId, Actor, ApiKeyId, SessionId};
use atelier_vault::credential_rows::{
    address_mails, api_keys, deletion_offers, key_places, key_usage, mail_tokens, passwords, sessions, tries,
};
use chrono::{Days, TimeDelta};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::command_path::CommandContext;
use crate::idempotency;
use crate::lost_media;
use crate::notices;
use crate::profile_upkeep::{self, ProfilesTidied};
use crate::refusal::{Refusal, UseCaseError};
use crate::use_cases::password_changes;
use crate::write_side::{WriteSide, account_target};

/// A row younger than this may belong to a request that is still at work.
pub(crate) const AT_REST: TimeDelta = TimeDelta::minutes(10);
/// Rows of one kind taken in one round.
const ROUND: i64 = 500;
/// Rows removed in one statement, and statements of one round.
const EXPIRED_AT_ONCE: i64 = 5_000;
const STATEMENTS: usize = 20;
/// The most buckets of tries that are kept; what is beyond, oldest first, is forgotten.
const MOST_TRIES: i64 = 1_000_000;

/// What one round completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Rows whose event was in the log and which now count.
    pub activated: usize,
    /// Rows whose event never came, removed.
    pub removed: usize,
    /// Withdrawn rows whose event is now in the log, removed.
    pub ended: usize,
    /// Sessions, mail tokens and counted tries whose time is over, removed.
    pub expired_rows: u64,
    /// Idempotency keys whose day is over, removed.
    pub expired_keys: u64,
    /// Renames and uploads that a dead process left.
    pub profiles: ProfilesTidied,
}

/// Runs a round every `every`, until stopped.
pub async fn run(write: &WriteSide, every: Duration, stop: &CancellationToken) {
    let mut swept = BTreeSet::new();
    while !stop.is_cancelled() {
        sweep_lost_media(write, &mut swept).await;
        match reconcile(write).await {
            Ok(done) if done == Reconciled::default() => {}
            Ok(done) => tracing::info!(?done, "reconciled"),
            Err(error) => tracing::warn!(%error, "a round of the reconciler failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Goes through the store once for each acknowledged loss.
async fn sweep_lost_media(write: &WriteSide, swept: &mut BTreeSet<Uuid>) {
    let due = match lost_media::due(write).await {
        Ok(due) => due,
        Err(error) => return tracing::warn!(%error, "the branches of the log cannot be read"),
    };
    if due.iter().all(|branch| swept.contains(branch)) {
        return;
    }
    match lost_media::sweep(write).await {
        Ok(removed) => {
            tracing::info!(removed, "files that the log does not have any more were removed");
            swept.extend(due);
        }
        Err(error) => tracing::warn!(%error, "files that the log does not have any more could not be removed"),
    }
}

/// One round over everything that is old enough. Safe to run anywhere, any number of times.
///
/// # Errors
/// When the database or the log failed; the next round goes on.
pub async fn reconcile(write: &WriteSide) -> Result<Reconciled, UseCaseError> {
    let before = write.now() - AT_REST;
    let context = write.request_context(Actor::Process("Reconciler".into()));
    let mut done = Reconciled::default();
    for (session, account) in sessions::pending_before(&write.pool, before, ROUND).await? {
        count(&mut done, pending_session(write, session, account).await);
    }
    for (session, account) in sessions::revoked_before(&write.pool, before, ROUND).await? {
        count(&mut done, ended_session(write, &context, session, account).await);
    }
    for (key, account) in api_keys::pending_before(&write.pool, before, ROUND).await? {
        count(&mut done, pending_key(write, key, account).await);
    }
    for (key, account) in api_keys::revoked_before(&write.pool, before, ROUND).await? {
        count(&mut done, ended_key(write, &context, key, account).await);
    }
    sign_in_rows::reconcile(write, &context, before, &mut done).await?;
    for change in passwords::unrecorded_before(&write.pool, before, ROUND).await? {
        count(&mut done, password_changes::record(write, &context, &change).await.map(|_| End::Activated));
    }
    done.expired_rows = expire_rows(write).await?;
    notices::remove_old(&write.pool, write.now(), ROUND).await?;
    let kept_from = write.now().date_naive() - Days::new(key_usage::KEPT_DAYS);
    key_usage::remove_before(&write.pool, kept_from, ROUND).await?;
    key_places::remove_stale(&write.pool, write.now(), ROUND).await?;
    done.expired_keys = idempotency::expire(&write.pool).await?;
    done.profiles = profile_upkeep::tidy(write, before).await?;
    Ok(done)
}

/// Removes rows whose time is over, in bounded pieces.
async fn expire_rows(write: &WriteSide) -> Result<u64, UseCaseError> {
    let (pool, now) = (&write.pool, write.now());
    let mut removed = mail_tokens::remove_expired(pool, now, ROUND).await?;
    removed += deletion_offers::remove_expired(pool, now, ROUND).await?;
    removed += address_mails::remove_old(pool, now, ROUND).await?;
    for _ in 0..STATEMENTS {
        let round = sessions::remove_expired(pool, now, EXPIRED_AT_ONCE).await?
            + tries::remove_expired(pool, now, MOST_TRIES, EXPIRED_AT_ONCE).await?;
        removed += round;
        if round == 0 {
            break;
        }
    }
    Ok(removed)
}

enum End {
    Activated,
    Removed,
    Ended,
}

/// One row's end; a row that fails waits for the next round and does not hold the others up.
fn count(done: &mut Reconciled, end: Result<End, UseCaseError>) {
    match end {
        Ok(End::Activated) => done.activated += 1,
        Ok(End::Removed) => done.removed += 1,
        Ok(End::Ended) => done.ended += 1,
        Err(error) => tracing::warn!(%error, "a credential row could not be reconciled"),
    }
}

async fn state(write: &WriteSide, account: AccountId) -> Result<Account, UseCaseError> {
    Ok(write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?.state)
}

async fn pending_session(write: &WriteSide, session: SessionId, account: AccountId) -> Result<End, UseCaseError> {
    if state(write, account).await?.has_session(&session) {
        sessions::activate(&write.pool, session).await?;
        return Ok(End::Activated);
    }
    sessions::remove(&write.pool, session).await?;
    Ok(End::Removed)
}

async fn pending_key(write: &WriteSide, key: ApiKeyId, account: AccountId) -> Result<End, UseCaseError> {
    let state = state(write, account).await?;
    if state.has_api_key(&key) {
        predecessor(write, &state, key, account).await?;
        api_keys::activate(&write.pool, key).await?;
        return Ok(End::Activated);
    }
    api_keys::remove(&write.pool, key).await?;
    Ok(End::Removed)
}

/// A rotation stands in the log: its predecessor's row ends when the log says so (B18).
async fn predecessor(
    write: &WriteSide,
    state: &Account,
    key: ApiKeyId,
    account: AccountId,
) -> Result<(), UseCaseError> {
    let Some(replaced) = api_keys::replaced_by(&write.pool, key).await? else { return Ok(()) };
    if let Some(end) = state.api_key(&replaced).and_then(|record| record.expires_at) {
        api_keys::shorten(&write.pool, account, replaced, end).await?;
    }
    Ok(())
}

async fn ended_session(
    write: &WriteSide,
    context: &CommandContext,
    session: SessionId,
    account: AccountId,
) -> Result<End, UseCaseError> {
    let end = |_| AccountCommand::EndSession { session_id: session, reason: SessionEnd::Revoked };
    let ended = write.path.execute::<Account>(&account_target(account), context, None, end).await;
    ended.map_err(|error| error.map(Refusal::from))?;
    sessions::remove(&write.pool, session).await?;
    Ok(End::Ended)
}

async fn ended_key(
    write: &WriteSide,
    context: &CommandContext,
    key: ApiKeyId,
    account: AccountId,
) -> Result<End, UseCaseError> {
    let revoke = |_| AccountCommand::RevokeApiKey { key_id: key };
    let ended = write.path.execute::<Account>(&account_target(account), context, None, revoke).await;
    ended.map_err(|error| error.map(Refusal::from))?;
    // A successor may have been revoked before anybody got to its predecessor's row.
    predecessor(write, &state(write, account).await?, key, account).await?;
    api_keys::remove(&write.pool, key).await?;
    Ok(End::Ended)
}
