//! Files of what the log does not have any more: the store did not fall back with a database that came back shorter (issue 12).
//!
//! Once an operator has acknowledged a loss, each node goes through the store once and removes what no event names: outputs of jobs,
//! avatars, copies of everything. Not before, because a loss that was a mistake is undone by the right backup, and files are not. What
//! was written within the last hour is left: a render may still be at it, and removes what it made itself.
//!
//! Dies in between: what is left is found the next time, at the next start at the latest.

use std::collections::BTreeSet;

use atelier_domain::AccountId;
use chrono::TimeDelta;
use futures::TryStreamExt;
use uuid::Uuid;

use crate::ports::{ExportKey, GatewayError, Thing};
use crate::write_side::WriteSide;

/// Longer than any lease, render or copy lasts.
const AT_WORK: TimeDelta = TimeDelta::hours(1);
/// Things that are looked up in one statement.
const PAGE: usize = 1_000;

/// Why the store was not gone through; the next round does it again.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store failed.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The branches with an acknowledged loss of the last week: after that, each was swept.
///
/// # Errors
/// When the database failed.
pub async fn due(write: &WriteSide) -> Result<Vec<Uuid>, sqlx::Error> {
    let due = "select branch from log_branches where lost_through is not null and opened_at < now() - interval '1 hour' \
               and acknowledged_at > now() - interval '7 days'";
    sqlx::query_scalar(due).fetch_all(&write.pool).await
}

/// Removes what the store has and the log does not; says how many things that was.
///
/// # Errors
/// A [`SweepError`]; what was removed is removed.
pub async fn sweep(write: &WriteSide) -> Result<usize, SweepError> {
    let before = write.now() - AT_WORK;
    let (mut removed, mut page) = (0, BTreeSet::new());
    let mut things = write.ports.media.things();
    while let Some((account, thing, written_at)) = things.try_next().await? {
        if written_at < before {
            page.insert((account, thing));
        }
        if page.len() == PAGE {
            removed += remove_lost(write, std::mem::take(&mut page)).await?;
        }
    }
    Ok(removed + remove_lost(write, page).await?)
}

async fn remove_lost(write: &WriteSide, page: BTreeSet<(AccountId, Thing)>) -> Result<usize, SweepError> {
    let page: Vec<(AccountId, Thing)> = page.into_iter().collect();
    let accounts: Vec<String> = page.iter().map(|(account, _)| account.to_string()).collect();
    let ids: Vec<String> = page.iter().map(|(_, thing)| thing.id()).collect();
    let outputs: Vec<bool> = page.iter().map(|(_, thing)| matches!(thing, Thing::Generation(_))).collect();
    // A log that is just being restored is on no branch, and has lost nothing yet.
    let lost = "select t.n from unnest($1::text[], $2::text[], $3::bool[]) with ordinality as t (account, id, output, n) \
                where (select log_branch()) is not null \
                and not exists (select from events e where t.output and e.aggregate_type = 'Generation' and e.aggregate_id = t.id) \
                and not exists (select from events e where not t.output and e.aggregate_type = 'Account' \
                                and e.aggregate_id = t.account and strpos(e.payload::text, t.id) > 0)";
    let lost: Vec<i64> = sqlx::query_scalar(lost).bind(accounts).bind(ids).bind(outputs).fetch_all(&write.pool).await?;
    let media = &write.ports.media;
    let mut removed = 0;
    for (account, thing) in lost.iter().filter_map(|place| page.get(usize::try_from(*place - 1).ok()?)) {
        match thing {
            Thing::Generation(generation) => media.delete_generation(*account, *generation).await?,
            Thing::Avatar(avatar) => media.delete_avatar(*account, *avatar).await?,
            Thing::Export(export) => media.delete_export(ExportKey { account: *account, export: *export }).await?,
        }
        removed += 1;
    }
    Ok(removed)
}
