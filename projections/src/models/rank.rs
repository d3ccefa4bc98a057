//! The rank: how many live generations of an account succeeded, ever (A19-A22, U02, U03).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::generation::GenerationEvent;
use atelier_domain::policy::rank::{RankProgress, progress};
use atelier_domain::{AccountId, Envelope, Environment, LogEvent};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::account_end::{OWNER, ended};
use crate::read_row::{ReadRow, Rows};
use crate::runner::Projection;
use crate::snapshot::{ReadError, Snapshot};

/// The projection.
pub struct RankCount;

/// Its name.
pub const NAME: &str = "Rank";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    account_id: Uuid,
    successes: i64,
}

impl ReadRow for Row {
    type Key = Uuid;
    const TABLE: &'static str = "rank_v1";
    const KEY: &'static str = "account_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.account_id
    }
}

/// A live job at work: whose it is, until it ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    generation_id: Uuid,
    account_id: Uuid,
}

impl ReadRow for Job {
    type Key = Uuid;
    const TABLE: &'static str = "rank_jobs_v1";
    const KEY: &'static str = "generation_id";
    const KEY_TYPE: &'static str = "uuid";

    fn key(&self) -> Uuid {
        self.generation_id
    }
}

#[async_trait]
impl Projection for RankCount {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[Row::TABLE, Job::TABLE]
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[Arc<Envelope>]) -> Result<(), sqlx::Error> {
        let generations = events.iter().filter_map(|envelope| match &envelope.event {
            LogEvent::Generation(generation, _) => Some(generation.0),
            LogEvent::Account(..) | LogEvent::CreditLedger(..) => None,
        });
        let mut jobs = Rows::<Job>::load(connection, generations).await?;
        let (mut won, mut gone): (Vec<Uuid>, Vec<AccountId>) = Default::default();
        for envelope in events {
            if let Some(account) = ended(&envelope.event) {
                jobs.drop_where(OWNER, account, |job| job.account_id == account.0);
                won.retain(|winner| *winner != account.0);
                gone.push(account);
            }
            let LogEvent::Generation(generation, event) = &envelope.event else { continue };
            match event {
                GenerationEvent::GenerationRequested { terms, .. } if terms.environment == Environment::Live => {
                    jobs.put(Job { generation_id: generation.0, account_id: terms.account_id.0 });
                }
                GenerationEvent::GenerationSucceeded { .. } => {
                    won.extend(jobs.remove(generation.0).map(|job| job.account_id));
                }
                GenerationEvent::GenerationFailed { .. } | GenerationEvent::GenerationCancelled {} => {
                    jobs.remove(generation.0);
                }
                GenerationEvent::GenerationRequested { .. }
                | GenerationEvent::GenerationAbandoned {}
                | GenerationEvent::GenerationStarted { .. }
                | GenerationEvent::GenerationPublished {}
                | GenerationEvent::GenerationDeleted {} => {}
            }
        }
        let mut rows = Rows::<Row>::load(connection, won.iter().copied()).await?;
        for account in gone {
            rows.drop_where(OWNER, account, |row| row.account_id == account.0);
        }
        for account_id in won {
            rows.get_or_put(account_id, || Row { account_id, successes: 0 }).successes += 1;
        }
        jobs.save(connection).await?;
        rows.save(connection).await
    }
}

/// These accounts' ranks, each with the way to the next one, in one statement; those in quarantine are left out.
///
/// # Errors
/// When the database failed.
pub async fn find(
    snapshot: &mut Snapshot,
    accounts: &[AccountId],
) -> Result<BTreeMap<AccountId, RankProgress>, ReadError> {
    let left_out = snapshot.left_out(NAME, accounts).await?;
    let rows = snapshot.rows::<Row>(accounts.iter().map(|account| account.0)).await?;
    let standing = |account: &AccountId| {
        let successes = rows.get(account.0).map_or(0, |row| row.successes);
        (*account, progress(successes))
    };
    Ok(accounts.iter().filter(|account| !left_out.contains(account)).map(standing).collect())
}

/// An account's rank, with the way to the next one.
///
/// # Errors
/// `Quarantined`; or when the database failed.
pub async fn of(snapshot: &mut Snapshot, account: AccountId) -> Result<RankProgress, ReadError> {
    snapshot.whole(NAME, account).await?;
    Ok(find(snapshot, &[account]).await?.remove(&account).unwrap_or_else(|| progress(0)))
}
