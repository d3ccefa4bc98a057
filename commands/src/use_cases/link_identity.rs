//! Linking an identity elsewhere to an account whose owner proved both (U30). The row waits, the event is appended, the row counts.
//!
//! What happens when the process dies: before the event, the reconciler removes the pending row; after it, it makes it count.

use atelier_domain::account::{Account, AccountCommand, IdentityProvider, NewIdentity};
use atelier_domain::text::IdentityLabel;
use atelier_domain::{AccountId, IdentityId, KeyClass};
use atelier_vault::IdentityDigest;
use atelier_vault::credential_rows::identities::{self, NewIdentityRow};

use super::sign_in_elsewhere::google;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::ports::ProvenIdentity;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// What an identity is called in the settings: its address there, or the provider's name.
pub(super) fn label(email: Option<&str>) -> IdentityLabel {
    email
        .and_then(|email| IdentityLabel::parse(email).ok())
        .unwrap_or_else(|| IdentityLabel::parse("Google").expect("a word is a label"))
}

/// Claims an identity for an account whose keys exist; refused when somebody has it.
pub(super) async fn claim(
    write: &WriteSide,
    account: AccountId,
    digest: IdentityDigest,
    label: &IdentityLabel,
) -> Result<IdentityId, UseCaseError> {
    let identity = IdentityId(write.fresh_id());
    let sealed =
        write.vault.seal_row(account, KeyClass::Profile, identity.0, "identity", "label", label.as_ref()).await?;
    let provider = IdentityProvider::Google;
    let row = NewIdentityRow { identity, account, provider, digest, label: sealed, created_at: write.now() };
    if identities::insert_pending(&write.pool, &row).await? {
        return Ok(identity);
    }
    let message = "This Google account is linked already; unlink it there first.";
    Err(Refusal::new(RefusalCode::NotPossibleNow, message).into())
}

/// Links an identity that its owner has just proven.
pub(super) async fn link(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    proven: &ProvenIdentity,
) -> Result<(IdentityId, Position), UseCaseError> {
    let digest = write.blind_index.identity(google(write)?.issuer(), &proven.subject);
    let label = label(proven.email.as_deref());
    let identity_id = claim(write, account, digest, &label).await?;
    let provider = IdentityProvider::Google;
    let identity = NewIdentity { identity_id, provider, label, vouches_for_address: false };
    let command = |_| AccountCommand::LinkIdentity { identity: identity.clone() };
    match write.path.execute::<Account>(&account_target(account), context, context.key(), command).await {
        Ok(executed) => {
            identities::activate(&write.pool, identity_id).await?;
            Ok((identity_id, executed.position()))
        }
        Err(error) => {
            if matches!(error, CommandError::Refused(_) | CommandError::Conflict) {
                identities::remove(&write.pool, identity_id).await?;
            }
            Err(error.map(Refusal::from))
        }
    }
}
