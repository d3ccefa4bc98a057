//! Usernames of deleted accounts: nobody's for twelve months, known only by keyed digests, whose key is destroyed with the last of
//! them (U29, REQUIREMENTS 4.2.9).
//!
//! Each month has a key of its own in `<keys folder>/quarantine/<month>`. What is digested is the blind index value of the claim, so
//! that a deletion can go on after the account's own key is gone and nobody can read the name any more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atelier_domain::AccountId;
use atelier_domain::policy::account::QUARANTINE_MONTHS;
use chrono::{DateTime, Datelike, Months, Utc};
use sqlx::PgPool;

use crate::credential_rows::RowError;
use crate::key_folder::KeyFolder;
use crate::keyed_hash::keyed_hash;
use crate::{IndexDigest, RandomBytes, SecretKey, durable_file};

/// Why the quarantine could not be asked; never taken for a "no".
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The keys could not be read or written.
    #[error("the quarantine's keys cannot be used: {0}")]
    Keys(#[from] io::Error),
    /// The rows could not be read or written.
    #[error(transparent)]
    Rows(#[from] RowError),
}

impl From<sqlx::Error> for QuarantineError {
    fn from(error: sqlx::Error) -> Self {
        Self::Rows(error.into())
    }
}

/// The quarantine of usernames. Cheap to clone.
#[derive(Clone)]
pub struct UsernameQuarantine {
    folder: PathBuf,
    random: Arc<dyn RandomBytes>,
}

/// Months since the year 0: the number of a month's key.
fn month_of(instant: DateTime<Utc>) -> Option<u32> {
    u32::try_from(instant.year()).ok().map(|year| year * 12 + instant.month0())
}

fn digest(key: &SecretKey, username: &IndexDigest) -> Vec<u8> {
    keyed_hash(key, "username quarantine", &[&username.key_version.to_be_bytes(), &username.digest]).to_vec()
}

impl UsernameQuarantine {
    /// The quarantine whose keys are in the keys folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(keys_folder: &Path, random: Arc<dyn RandomBytes>) -> io::Result<Self> {
        let folder = keys_folder.join("quarantine");
        KeyFolder::open(folder.clone())?.finish_destroying()?;
        Ok(Self { folder, random })
    }

    /// Files block: off the async threads.
    async fn keys<T: Send + 'static>(
        &self,
        work: impl FnOnce(KeyFolder, &Path, &dyn RandomBytes) -> io::Result<T> + Send + 'static,
    ) -> Result<T, QuarantineError> {
        let Self { folder, random } = self.clone();
        let done =
            tokio::task::spawn_blocking(move || work(KeyFolder::open(folder.clone())?, &folder, random.as_ref()));
        Ok(done.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))?)
    }

    /// Puts every username that an account has claimed under quarantine: the step of an erasure before its claims are deleted. Again
    /// is harmless. How many there were.
    ///
    /// # Errors
    /// When the keys or the database failed; then it is to be done again.
    pub async fn put(&self, pool: &PgPool, account: AccountId, now: DateTime<Utc>) -> Result<usize, QuarantineError> {
        let out_of_range = || io::Error::other("the clock is outside the calendar");
        let month = month_of(now).ok_or_else(out_of_range)?;
        let ends_at = now.checked_add_months(Months::new(QUARANTINE_MONTHS)).ok_or_else(out_of_range)?;
        let names: Vec<(i16, Vec<u8>)> = sqlx::query_as(
            "SELECT key_version, digest FROM credentials.claims WHERE account_id = $1 AND kind = 'username'",
        )
        .bind(account.0)
        .fetch_all(pool)
        .await?;
        let names: Vec<IndexDigest> = names
            .into_iter()
            .filter_map(|(key_version, digest)| {
                let digest = digest.try_into().ok()?;
                Some(IndexDigest { kind: crate::IndexKind::Username, key_version, digest })
            })
            .collect();
        if names.is_empty() {
            return Ok(0);
        }
        let key = self
            .keys(move |keys, folder, random| {
                // Two nodes that erase at once in a new month must end up with the same key.
                let _lock = durable_file::lock(folder)?;
                match keys.read_all()?.remove(&month) {
                    Some(key) => Ok(key),
                    None => keys.create(month, random),
                }
            })
            .await?;
        let digests: Vec<Vec<u8>> = names.iter().map(|name| digest(&key, name)).collect();
        sqlx::query(
            "INSERT INTO credentials.username_quarantine (period, digest, ends_at)
             SELECT $1, name, $3 FROM unnest($2::bytea[]) AS name ON CONFLICT DO NOTHING",
        )
        .bind(i32::try_from(month).map_err(io::Error::other)?)
        .bind(&digests)
        .bind(ends_at)
        .execute(pool)
        .await?;
        Ok(digests.len())
    }

    /// Whether a username is under quarantine. Asked after it was claimed: an erasure puts names here before it gives claims up, so
    /// between the two nobody slips through.
    ///
    /// # Errors
    /// When the keys or the database failed.
    pub async fn holds(
        &self,
        pool: &PgPool,
        username: &IndexDigest,
        now: DateTime<Utc>,
    ) -> Result<bool, QuarantineError> {
        let keys = self.keys(|keys, _, _| keys.read_all()).await?;
        let (months, digests): (Vec<i32>, Vec<Vec<u8>>) =
            keys.iter().filter_map(|(month, key)| Some((i32::try_from(*month).ok()?, digest(key, username)))).unzip();
        let held = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM credentials.username_quarantine q
             JOIN unnest($1::int[], $2::bytea[]) AS asked (period, digest) USING (period, digest) WHERE q.ends_at > $3)",
        );
        Ok(held.bind(months).bind(digests).bind(now).fetch_one(pool).await?)
    }

    /// Removes up to `limit` names whose time is over, and destroys the keys of months whose last name's time is over; how many
    /// names.
    ///
    /// # Errors
    /// When the keys or the database failed; the next round goes on.
    pub async fn expire(&self, pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64, QuarantineError> {
        let statement = "DELETE FROM credentials.username_quarantine WHERE (period, digest) IN
             (SELECT period, digest FROM credentials.username_quarantine WHERE ends_at <= $1 LIMIT $2)";
        let removed = sqlx::query(statement).bind(now).bind(limit).execute(pool).await?.rows_affected();
        // A name that came on a month's last day is over on the last day of that month next year.
        let Some(over) = month_of(now).and_then(|month| month.checked_sub(QUARANTINE_MONTHS)) else {
            return Ok(removed);
        };
        self.keys(move |keys, folder, _| {
            let _lock = durable_file::lock(folder)?;
            keys.finish_destroying()?;
            keys.versions()?.into_iter().filter(|month| *month < over).try_for_each(|month| keys.destroy(month))
        })
        .await?;
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_month_has_one_number_and_the_next_the_next() {
        let month = |year, month| month_of(Utc.with_ymd_and_hms(year, month, 28, 23, 59, 59).unwrap()).unwrap();
        assert_eq!(month(2027, 1), month(2026, 12) + 1);
        assert_eq!(month(2027, 11) - QUARANTINE_MONTHS, month(2026, 11));
    }
}
