//! What readers see of a quarantine, in the snapshot of the rows: an account that a read model leaves out is unavailable there, or not
//! in its lists; never wrong.

use std::collections::BTreeSet;

use atelier_domain::AccountId;
use uuid::Uuid;

use crate::snapshot::{ReadError, Snapshot};

/// The rows of `quarantine` of this model where it serves; $1 to $3 are the follower, its version and its place.
const HERE: &str = "from quarantine where follower = $1 and version = $2 and place = $3";

impl Snapshot {
    /// Fails when the read model's rows of this account are not complete.
    ///
    /// # Errors
    /// `Quarantined`; or when the database failed.
    pub(crate) async fn whole(&mut self, model: &'static str, account: AccountId) -> Result<(), ReadError> {
        let left_out = self.left_out(model, &[account]).await?;
        if left_out.is_empty() { Ok(()) } else { Err(ReadError::Quarantined(model)) }
    }

    /// Those of these accounts that the read model leaves out.
    ///
    /// # Errors
    /// When the database failed.
    pub(crate) async fn left_out(
        &mut self,
        model: &'static str,
        accounts: &[AccountId],
    ) -> Result<BTreeSet<AccountId>, ReadError> {
        let Some((version, place)) = self.partial(model) else { return Ok(BTreeSet::new()) };
        let accounts: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
        let found: Vec<Uuid> = sqlx::query_scalar(&format!("select account_id {HERE} and account_id = any($4)"))
            .bind(model)
            .bind(version)
            .bind(place.as_str())
            .bind(accounts)
            .fetch_all(self.connection())
            .await?;
        Ok(found.into_iter().map(AccountId).collect())
    }

    /// A condition that leaves the accounts out which the read model leaves out, for a list over accounts with `t.account_id`; empty as
    /// a rule.
    pub(crate) fn only_whole(&self, model: &'static str) -> String {
        let Some((version, place)) = self.partial(model) else { return String::new() };
        // All three are this program's own words.
        format!(
            " and not exists (select from quarantine q where q.follower = '{model}' and q.version = {version} and q.place = '{}' \
             and q.account_id = t.account_id)",
            place.as_str()
        )
    }
}
