//! Where the last mail to a deleted account goes, sealed under a one-off key (REQUIREMENTS 4.2.10).

use atelier_domain::{AccountId, Sealed};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::RowError;

/// A last mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The subject whose key seals the address, and dies with it.
    pub subject: AccountId,
    /// The address, sealed for the row of the account under the field `address`.
    pub address: Sealed,
    /// The language of the mail.
    pub language: String,
    /// When it was made; after a week nobody tries any more.
    pub made_at: DateTime<Utc>,
}

/// Keeps where the last mail goes; a repeat keeps what there is.
///
/// # Errors
/// When the database failed.
pub async fn keep(pool: &PgPool, account: AccountId, farewell: &Farewell) -> Result<(), RowError> {
    sqlx::query(
        "INSERT INTO credentials.farewells (account_id, subject, address, language, made_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account_id) DO NOTHING",
    )
    .bind(account.0)
    .bind(farewell.subject.0)
    .bind(farewell.address.as_text())
    .bind(&farewell.language)
    .bind(farewell.made_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Where the last mail goes, if it was not sent yet.
///
/// # Errors
/// When the database failed.
pub async fn find(pool: &PgPool, account: AccountId) -> Result<Option<Farewell>, RowError> {
    let statement = "SELECT subject, address, language, made_at FROM credentials.farewells WHERE account_id = $1";
    let row: Option<(Uuid, String, String, DateTime<Utc>)> =
        sqlx::query_as(statement).bind(account.0).fetch_optional(pool).await?;
    Ok(row.map(|(subject, address, language, made_at)| Farewell {
        subject: AccountId(subject),
        address: Sealed::from_text(address),
        language,
        made_at,
    }))
}

/// Forgets it. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn remove(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    sqlx::query("DELETE FROM credentials.farewells WHERE account_id = $1").bind(account.0).execute(pool).await?;
    Ok(())
}
