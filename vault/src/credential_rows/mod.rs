//! Credential rows in PostgreSQL, one file for each table of schema `credentials` (DESIGN 4, "Rows beside events").
//!
//! To grant: insert the row pending, append the event, activate the row. To withdraw: revoke the row, append the event,
//! remove the row. A pending or revoked row never authenticates; a reconciler finishes either half.

mod address_claims;
pub mod address_mails;
pub mod api_keys;
pub mod avatar_tickets;
pub mod avatar_uploads;
pub mod bonus_marks;
pub mod challenges;
pub mod claims;
pub mod deletion_offers;
pub mod farewells;
pub mod identities;
pub mod key_places;
pub mod key_usage;
pub mod mail_tokens;
pub mod passwords;
pub mod recovery_codes;
pub mod second_factor;
mod session_upkeep;
pub mod sessions;
pub mod sign_in_codes;
pub mod sign_ins_elsewhere;
pub mod staff_roles;
pub mod tries;
pub mod unproven_addresses;

use crate::transactions::begin;
use atelier_domain::AccountId;
use sqlx::{PgConnection, PgPool};

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

/// Ends what a client was given to go on with later, beside sessions and keys: sign-ins that wait for a code, a second factor that is being
/// set up, uploads, and the offer to confirm a deletion. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn end_passing(connection: &mut PgConnection, account: AccountId) -> Result<(), RowError> {
    for statement in [
        "DELETE FROM credentials.sign_in_challenges WHERE account_id = $1",
        "DELETE FROM credentials.sign_ins_elsewhere WHERE account_id = $1",
        "DELETE FROM credentials.second_factors WHERE account_id = $1 AND state = 'pending'",
        "DELETE FROM credentials.avatar_tickets WHERE account_id = $1",
        "DELETE FROM credentials.deletion_offers WHERE account_id = $1",
    ] {
        sqlx::query(statement).bind(account.0).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes every credential of an account, its claims included, at erasure (REQUIREMENTS 4.2.2). Again is harmless.
///
/// # Errors
/// When the database failed; then nothing was deleted.
pub async fn delete_account(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    let mut transaction = begin(pool).await?;
    for statement in [
        "DELETE FROM credentials.sessions WHERE account_id = $1",
        "DELETE FROM credentials.api_keys WHERE account_id = $1",
        // After the keys: whoever counts one of them was waited for.
        "DELETE FROM credentials.api_key_usage WHERE account_id = $1",
        "DELETE FROM credentials.api_key_places WHERE account_id = $1",
        "DELETE FROM credentials.mail_tokens WHERE account_id = $1",
        "DELETE FROM credentials.sign_in_challenges WHERE account_id = $1",
        "DELETE FROM credentials.sign_ins_elsewhere WHERE account_id = $1",
        "DELETE FROM credentials.recovery_codes WHERE account_id = $1",
        "DELETE FROM credentials.second_factors WHERE account_id = $1",
        "DELETE FROM credentials.identities WHERE account_id = $1",
        "DELETE FROM credentials.passwords WHERE account_id = $1",
        "DELETE FROM credentials.deletion_offers WHERE account_id = $1",
        "DELETE FROM credentials.tries WHERE account_id = $1",
        "DELETE FROM credentials.staff_roles WHERE account_id = $1",
        "DELETE FROM credentials.avatar_tickets WHERE account_id = $1",
        "DELETE FROM credentials.avatar_uploads WHERE account_id = $1",
        "DELETE FROM credentials.unproven_addresses WHERE account_id = $1",
        "DELETE FROM credentials.claims WHERE account_id = $1",
    ] {
        sqlx::query(statement).bind(account.0).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
