//! `atelier projections retry`: a stopped follower tries again, and what it has in quarantine is folded again, beside running nodes.

use atelier_domain::AccountId;

use super::refold::{Ended, Refold};
use super::{STATE, Slot, Subject, rows};
use crate::runner::{Projection, Runner};

/// Why a retry could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no follower of this name.
    #[error("there is no read model or process manager named {0}")]
    Unknown(String),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a retry did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retried {
    /// Whether the follower was stopped, and tries again.
    pub resumed: bool,
    /// The subjects that have left the quarantine.
    pub repaired: Vec<String>,
    /// Those that stay, each with the event it failed at and why.
    pub failed: Vec<(String, i64, String)>,
}

impl Runner {
    /// Lets a stopped follower try again, and folds what it has in quarantine: a read model's account from its first event on, after
    /// its rows were removed; a process manager's from the parked event on, never earlier, so that nothing is asked for twice.
    ///
    /// # Errors
    /// A [`RetryError`]; what was repaired stays repaired.
    pub async fn retry(&self, name: &str) -> Result<Retried, RetryError> {
        let projection = self.projections.iter().find(|projection| projection.name() == name);
        let projection = projection.ok_or_else(|| RetryError::Unknown(name.to_owned()))?.as_ref();
        let mut retried = Retried { resumed: self.resume(projection).await?, ..Retried::default() };
        let here = self.here(projection).await?;
        let slot = Slot::of(projection, here.place);
        for (text, account) in rows::all(&self.pool, slot).await? {
            let subject = Subject::stored(&text, account.map(AccountId));
            match Refold::run(self, projection, slot, &subject).await? {
                Ended::Lifted => retried.repaired.push(text),
                Ended::Failed { position, error } => retried.failed.push((text, position, error)),
                // Another retry, a rebuild or an erasure sees to it.
                Ended::Overtaken => {}
            }
        }
        Ok(retried)
    }

    async fn resume(&self, projection: &dyn Projection) -> Result<bool, sqlx::Error> {
        let resume = format!(
            "update checkpoints c set state = {STATE}, error = null, failed_position = null \
             where name = $1 and version = $2 and state = 'stopped'"
        );
        let resumed =
            sqlx::query(&resume).bind(projection.name()).bind(projection.version()).execute(&self.pool).await?;
        Ok(resumed.rows_affected() > 0)
    }
}
