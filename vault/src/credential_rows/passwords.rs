//! Password hashes: one PHC string for each account, never in an event (REQUIREMENTS 4.2.2).
//!
//! A change moves the row first, ends the sessions in the same transaction, and is marked until its event is in the log: the old
//! password is dead before anybody is told, and no event tells of a change that was not.

use atelier_domain::account::PasswordVia;
use atelier_domain::{AccountId, SessionId};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::mail_tokens::MailPurpose;
use super::{RowError, end_passing, mail_tokens, sessions, unproven_addresses};
use crate::SecretDigest;
use crate::transactions::begin;

/// An account's password as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    /// The PHC string.
    pub phc: String,
    /// Which of the account's passwords it is; hashing the same one anew does not count.
    pub version: i64,
    /// Whether the hash is of its NFC form; otherwise of what was typed when it was set, by a release before that.
    pub of_nfc: bool,
}

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredPassword(.., {})", self.version)
    }
}

/// A change of a password whose event may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordChange {
    /// Its id: the event is appended once under it.
    pub id: Uuid,
    /// Whose password.
    pub account: AccountId,
    /// How.
    pub via: PasswordVia,
    /// The session that goes on, if any.
    pub keeps: Option<SessionId>,
}

/// What a change stands on; when it no longer does, nothing is changed.
#[derive(Debug, Clone, Copy)]
pub enum Grounds<'a> {
    /// The password that was proven, by its version.
    Password(i64),
    /// A reset mail's token, used up by the change.
    Reset(&'a SecretDigest),
    /// A verification mail's token, used up by the change, which also ends what the sign-up's client has of it.
    Verification(&'a SecretDigest),
}

/// What ends with a password, beside the sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// Every API key.
    pub api_keys: bool,
    /// Every identity elsewhere that signs in.
    pub identities: bool,
}

const fn word(via: PasswordVia) -> &'static str {
    match via {
        PasswordVia::Change => "change",
        PasswordVia::Reset => "reset",
        PasswordVia::Added => "added",
    }
}

fn via(word: &str) -> Option<PasswordVia> {
    [PasswordVia::Change, PasswordVia::Reset, PasswordVia::Added].into_iter().find(|via| self::word(*via) == word)
}

/// Stores an account's PHC string in place of any older one: for an account that is about to open.
///
/// # Errors
/// When the database failed.
pub async fn set(pool: &PgPool, account: AccountId, phc: &str, now: DateTime<Utc>) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.passwords AS p (account_id, phc, changed_at, nfc_version) VALUES ($1, $2, $3, 1)
         ON CONFLICT (account_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at, nfc_version = p.version",
    )
    .bind(account.0)
    .bind(phc)
    .bind(now)
    .execute(pool)
    .await?;
    Ok(())
}

/// An account's password, if it has one.
///
/// # Errors
/// When the database failed.
pub async fn get(pool: &PgPool, account: AccountId) -> Result<Option<StoredPassword>, RowError> {
    let statement = "SELECT phc, version, nfc_version IS NOT DISTINCT FROM version FROM credentials.passwords
         WHERE account_id = $1";
    let row: Option<(String, i64, bool)> = sqlx::query_as(statement).bind(account.0).fetch_optional(pool).await?;
    Ok(row.map(|(phc, version, of_nfc)| StoredPassword { phc, version, of_nfc }))
}

/// Stores another hash of the same password, of its NFC form, unless the password was changed meanwhile. Says whether it did.
///
/// # Errors
/// When the database failed.
pub async fn rehash(pool: &PgPool, account: AccountId, old: &str, new: &str) -> Result<bool, RowError> {
    let statement =
        "UPDATE credentials.passwords SET phc = $3, nfc_version = version WHERE account_id = $1 AND phc = $2";
    let updated = sqlx::query(statement).bind(account.0).bind(old).bind(new).execute(pool).await?;
    Ok(updated.rows_affected() == 1)
}

/// Changes a password, ends every session but the one that goes on, what clients were given for later, and what `ends` says, and marks the change until [`recorded`]; all or nothing. Says
/// whether its grounds still stood: of many at once with one token, or with one old password, exactly one changes anything.
///
/// # Errors
/// When the database failed; then nothing was changed, unless the failure was the commit's answer getting lost.
pub async fn change(
    pool: &PgPool,
    change: &PasswordChange,
    grounds: Grounds<'_>,
    phc: &str,
    ends: Ends,
    now: DateTime<Utc>,
) -> Result<bool, RowError> {
    let mut transaction = begin(pool).await?;
    let stands = match grounds {
        Grounds::Password(version) => is_at(&mut transaction, change.account, version).await?,
        Grounds::Reset(digest) => {
            mail_tokens::use_up(&mut transaction, digest, change.account, MailPurpose::ResetPassword, now).await?
        }
        Grounds::Verification(digest) => {
            unproven_addresses::end_token(&mut *transaction, change.account).await?;
            mail_tokens::use_up(&mut transaction, digest, change.account, MailPurpose::VerifyEmail, now).await?
        }
    };
    if !stands {
        transaction.rollback().await?;
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO credentials.passwords (account_id, phc, changed_at, change_id, change_via, change_keeps, nfc_version)
         VALUES ($1, $2, $3, $4, $5, $6, 1)
         ON CONFLICT (account_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at,
           version = passwords.version + 1, nfc_version = passwords.version + 1, change_id = excluded.change_id, change_via = excluded.change_via,
           change_keeps = excluded.change_keeps",
    )
    .bind(change.account.0)
    .bind(phc)
    .bind(now)
    .bind(change.id)
    .bind(word(change.via))
    .bind(change.keeps.map(|session| session.0))
    .execute(&mut *transaction)
    .await?;
    end_beside(&mut transaction, change, ends).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The password was given again as the new one, and stays: only what [`change`] ends beside it ends, and there is nothing to mark. Says
/// whether it still is the password of that version.
///
/// # Errors
/// As [`change`].
pub async fn keep(pool: &PgPool, change: &PasswordChange, version: i64, ends: Ends) -> Result<bool, RowError> {
    let mut transaction = begin(pool).await?;
    if !is_at(&mut transaction, change.account, version).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    end_beside(&mut transaction, change, ends).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whether an account's password is that of a version; it stays so until the transaction ends.
async fn is_at(connection: &mut PgConnection, account: AccountId, version: i64) -> Result<bool, RowError> {
    let statement = "SELECT version FROM credentials.passwords WHERE account_id = $1 FOR UPDATE";
    let found: Option<i64> = sqlx::query_scalar(statement).bind(account.0).fetch_optional(connection).await?;
    Ok(found == Some(version))
}

/// Ends the sessions but the one that goes on, what clients were given for later, and what `ends` says.
async fn end_beside(connection: &mut PgConnection, change: &PasswordChange, ends: Ends) -> Result<(), RowError> {
    sessions::revoke_all(&mut *connection, change.account, change.keeps).await?;
    end_passing(connection, change.account).await?;
    for (ends, statement) in [
        (ends.api_keys, "UPDATE credentials.api_keys SET state = 'revoked' WHERE account_id = $1"),
        (ends.identities, "UPDATE credentials.identities SET state = 'revoked' WHERE account_id = $1"),
    ] {
        if ends {
            sqlx::query(statement).bind(change.account.0).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Takes the mark of a change off, now that its event is in the log. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn recorded(pool: &PgPool, change: &PasswordChange) -> Result<(), RowError> {
    sqlx::query(
        "UPDATE credentials.passwords SET change_id = NULL, change_via = NULL, change_keeps = NULL
         WHERE account_id = $1 AND change_id = $2",
    )
    .bind(change.account.0)
    .bind(change.id)
    .execute(pool)
    .await?;
    Ok(())
}

/// For the reconciler: up to `limit` changes from before an instant whose event may be missing, oldest first.
///
/// # Errors
/// When the database failed.
pub async fn unrecorded_before(
    pool: &PgPool,
    instant: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PasswordChange>, RowError> {
    let rows: Vec<(Uuid, Uuid, String, Option<Uuid>)> = sqlx::query_as(
        "SELECT change_id, account_id, change_via, change_keeps FROM credentials.passwords
         WHERE change_id IS NOT NULL AND changed_at < $1 ORDER BY changed_at LIMIT $2",
    )
    .bind(instant)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let change = |(id, account, word, keeps): (Uuid, Uuid, String, Option<Uuid>)| {
        let keeps = keeps.map(SessionId);
        via(&word).map(|via| PasswordChange { id, account: AccountId(account), via, keeps })
    };
    Ok(rows.into_iter().filter_map(change).collect())
}

/// Removes an account's password. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn delete(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.passwords WHERE account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
