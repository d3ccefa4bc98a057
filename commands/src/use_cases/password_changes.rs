//! What every change of a password has in common: the rules for the new one, and the event after the row.
//!
//! What happens when the process dies: until the row is moved, nothing; from then on the new password counts, the old one and the
//! sessions are dead, with the API keys and identities that end with it, and the event is appended by the reconciler under the change's
//! own id, once, whoever comes first; the ends of keys and identities are appended by it as well. A session that began in between ends
//! with that event.
//!
//! | what a stolen session can leave behind | what ends it |
//! | --- | --- |
//! | sessions, and their sockets | every change of the password, in the same transaction |
//! | API keys, made or rotated (which takes a fresh proof) | a reset, unless the owner keeps them; a change, if the owner says so |
//! | a linked identity (a fresh proof) | a reset, unless the owner keeps them; not the first password of an account without one |
//! | a sign-in that waits for a code, an enrolment that waits for one, a journey to link, an upload's ticket, the offer of a deletion | every change, in the same transaction |
//! | what was under way when the session ended (a key, a link) | whoever makes it looks at the session again once it counts |
//! | a second factor that was turned on (a fresh proof) | its owner's recovery code, or staff after a day (U36); it opens nothing |
//! | a data export | it is fetched in a session only, and removed after a week |
//! | a device that is known | it signs nobody in |
//! | another address, a role | no session can ask for either |

use atelier_domain::account::{Account, AccountCommand, SessionEnd};
use atelier_domain::text::check_password;
use atelier_domain::{AccountId, Invalid, Reason};
use atelier_vault::credential_rows::passwords::{self, Ends, PasswordChange};
use atelier_vault::credential_rows::{api_keys, claims, identities};
use atelier_vault::passwords::composed;
use atelier_vault::{Opened, OwnNames};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::revoke_sessions::end_rows;
use super::sign_in::overloaded;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::{IdempotencyKey, Position};
use crate::idempotency;
use crate::refusal::{Refusal, UseCaseError, in_field};
use crate::write_side::{WriteSide, account_target};

/// A password that the rules allow, in NFC.
pub(crate) struct NewPassword(Zeroizing<String>);

impl NewPassword {
    /// Checks the NFC form of a new password against the rules (sec.S3, V07, V08): the refusal of its field, to be told beside those of other fields.
    ///
    /// # Errors
    /// `rate_limited` when too many passwords are being looked at.
    pub(crate) async fn check(
        write: &WriteSide,
        field: &'static str,
        password: &str,
        names: OwnNames,
    ) -> Result<Result<Self, Refusal>, UseCaseError> {
        let password = composed(password);
        if let Err(refusal) = in_field(field, check_password(&password, write.access.password_composition)) {
            return Ok(Err(refusal));
        }
        if write.passwords.is_guessable(&password, names).await.map_err(overloaded)? {
            let says = "is too easy to guess: it is common, or made of your own names";
            return Ok(Err(Refusal::value(field, Invalid::new(Reason::TooCommon, says))));
        }
        Ok(Ok(Self(password)))
    }

    /// Whether it is the same password as one that was typed.
    pub(crate) fn is(&self, typed: &str) -> bool {
        *self.0 == *composed(typed)
    }

    /// Its hash.
    ///
    /// # Errors
    /// `rate_limited` when too many passwords are being hashed.
    pub(crate) async fn hash(&self, write: &WriteSide) -> Result<String, UseCaseError> {
        write.passwords.hash(&self.0).await.map_err(overloaded)
    }
}

/// What an account's password must not be made of.
pub(crate) async fn own_names(
    write: &WriteSide,
    account: AccountId,
    state: &Account,
) -> Result<OwnNames, UseCaseError> {
    let mut names = OwnNames::default();
    if let Some(sealed) = state.email()
        && let Opened::Text(address) = write.vault.open(account, "email", sealed).await?
    {
        names.clear.push(address.to_lowercase());
    }
    // The username is not in the state; its index is enough to find it in a password.
    let username = claims::username_of(&write.pool, account).await?;
    names.username = username.map(|digest| (write.blind_index.clone(), digest));
    Ok(names)
}

/// The key under which a change is recorded once, whoever records it.
fn own_key(write: &WriteSide, account: AccountId, id: Uuid) -> Result<Option<IdempotencyKey>, Refusal> {
    let (meaning, text) = (serde_json::json!(["changePassword", id]), format!("password:{id}"));
    let sent = idempotency::sent(Some(&text))?;
    Ok(idempotency::key(write, account, idempotency::RECORD_PASSWORD, sent, &meaning, id.to_string()))
}

/// Where the event of a change stands, if it is in the log.
pub(crate) async fn recorded_at(
    write: &WriteSide,
    account: AccountId,
    id: Uuid,
) -> Result<Option<Position>, UseCaseError> {
    let key = own_key(write, account, id)?;
    let recorded = write.path.repeat::<Account>(key.as_ref()).await.map_err(|error| error.map(Refusal::from))?;
    Ok(recorded.map(|recorded| recorded.position()))
}

/// Appends the event of a change whose row is moved, ends what it ends, and takes the mark off.
pub(crate) async fn record(
    write: &WriteSide,
    context: &CommandContext,
    change: &PasswordChange,
) -> Result<Position, UseCaseError> {
    let PasswordChange { id, account, via, keeps } = *change;
    // Before the password, whose mail says which keys there are.
    record_keys(write, context, account).await?;
    let key = own_key(write, account, id)?;
    let command = |_| AccountCommand::ChangePassword { via, except: keeps };
    let executed = write.path.execute::<Account>(&account_target(account), context, key.as_ref(), command).await;
    let executed = executed.map_err(|error| error.map(Refusal::from))?;
    end_rows(write, account, &executed).await?;
    for identity_id in identities::revoked_of(&write.pool, account).await? {
        append(write, context, account, AccountCommand::UnlinkIdentity { identity_id }).await?;
        identities::remove(&write.pool, identity_id).await?;
    }
    passwords::recorded(&write.pool, change).await?;
    Ok(executed.position())
}

/// The password was given again as the new one: what a change ends beside it ends, and the log tells of that alone. Where nothing else is
/// there to end, nothing is appended.
///
/// A process that dies after the rows leaves the events to the reconciler, which ends the rows of sessions and keys one by one.
///
/// # Errors
/// `Conflict` when the password was changed at the same moment.
pub(crate) async fn end_beside(
    write: &WriteSide,
    context: &CommandContext,
    change: &PasswordChange,
    version: i64,
    ends: Ends,
) -> Result<Position, UseCaseError> {
    let PasswordChange { id, account, keeps, .. } = *change;
    if !passwords::keep(&write.pool, change, version, ends).await? {
        return Err(CommandError::Conflict);
    }
    record_keys(write, context, account).await?;
    let key = own_key(write, account, id)?;
    let command = |_| AccountCommand::EndSessions { except: keeps, reason: SessionEnd::Revoked };
    let executed = write.path.execute::<Account>(&account_target(account), context, key.as_ref(), command).await;
    let executed = executed.map_err(|error| error.map(Refusal::from))?;
    end_rows(write, account, &executed).await?;
    Ok(executed.position())
}

/// Appends the ends of API keys whose rows count no more; what the log knows already is no event again.
async fn record_keys(write: &WriteSide, context: &CommandContext, account: AccountId) -> Result<(), UseCaseError> {
    for key_id in api_keys::revoked_of(&write.pool, account).await? {
        append(write, context, account, AccountCommand::RevokeApiKey { key_id }).await?;
    }
    Ok(())
}

async fn append(
    write: &WriteSide,
    context: &CommandContext,
    account: AccountId,
    command: AccountCommand,
) -> Result<(), UseCaseError> {
    let executed = write.path.execute::<Account>(&account_target(account), context, None, |_| command.clone()).await;
    executed.map_err(|error| error.map(Refusal::from)).map(drop)
}
