//! Nobody gets in any more: rows of keys and sessions stop counting on every node's very next request (U22, sec.S6, sec.K3).

use atelier_domain::AccountId;
use atelier_vault::credential_rows::{api_keys, sessions};

use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// Revokes every key and every session of an account. Again is harmless.
///
/// # Errors
/// When the database failed.
pub async fn revoke(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    api_keys::revoke_all(&write.pool, account).await?;
    sessions::revoke_all(&write.pool, account, None).await?;
    Ok(())
}
