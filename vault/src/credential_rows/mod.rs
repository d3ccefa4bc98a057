//! Credential rows in PostgreSQL, one file for each table of schema `credentials` (DESIGN 4, "Rows beside events").
//!
//! To grant: insert the row pending, append the event, activate the row. To withdraw: revoke the row, append the event,
//! remove the row. A pending or revoked row never authenticates; a reconciler finishes either half.

pub mod api_keys;
pub mod avatar_tickets;
pub mod avatar_uploads;
pub mod claims;
pub mod deletion_offers;
pub mod farewells;
pub mod mail_tokens;
pub mod passwords;
pub mod sessions;

use atelier_domain::AccountId;
use sqlx::PgPool;

/// The credential rows could not be read or written; a fault at the edge, worth trying again.
#[derive(thiserror::Error)]
#[error("the credential rows are unavailable")]
pub struct RowError(#[from] sqlx::Error);

impl std::fmt::Debug for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // PostgreSQL's full error quotes the row it refused, digests included; its one-line form does not.
        write!(f, "RowError({})", self.0)
    }
}

/// Deletes every credential of an account, its claims included, at erasure (REQUIREMENTS 4.2.2). Again is harmless.
///
/// # Errors
/// When the database failed; then nothing was deleted.
pub async fn delete_account(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "DELETE FROM credentials.sessions WHERE account_id = $1",
        "DELETE FROM credentials.api_keys WHERE account_id = $1",
        "DELETE FROM credentials.mail_tokens WHERE account_id = $1",
        "DELETE FROM credentials.passwords WHERE account_id = $1",
        "DELETE FROM credentials.deletion_offers WHERE account_id = $1",
        "DELETE FROM credentials.avatar_tickets WHERE account_id = $1",
        "DELETE FROM credentials.avatar_uploads WHERE account_id = $1",
        "DELETE FROM credentials.claims WHERE account_id = $1",
    ] {
        sqlx::query(statement).bind(account.0).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
