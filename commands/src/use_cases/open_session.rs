//! A session for somebody who has just proven who they are: the one place where sessions begin. The row waits, the event is
//! appended, the row counts (DESIGN 4).
//!
//! A role that comes at the same moment either ends the session in its own append, or is seen here after it (U37).
//!
//! What happens when the process dies: before the event, the pending row is removed by the reconciler; after it, the row is
//! activated by the reconciler, its token unseen, and stands in the list until it is idle for too long or revoked.

use atelier_domain::account::{Account, AccountCommand, AccountError, AccountEvent};
use atelier_domain::{AccountId, KeyClass, Sealed, SessionId};
use atelier_vault::credential_rows::sessions::{self, NewSession};
use atelier_vault::{DeviceToken, SessionToken};
use chrono::{DateTime, TimeDelta, Utc};

use super::sign_in::wrong;
use crate::command_path::{CommandContext, CommandError, Executed};
use crate::event_store::Position;
use crate::origin::Origin;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// How long a session counts without being used (U37).
const IDLE: TimeDelta = TimeDelta::days(30);
/// The same for accounts with a role (U37).
const IDLE_WITH_ROLE: TimeDelta = TimeDelta::hours(12);

/// How the first factor was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By this version of the account's password. When the password is changed meanwhile, no session begins.
    Password(i64),
    /// By an identity elsewhere.
    Identity,
}

/// Opens a session.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// For whom.
    pub account: AccountId,
    /// By which proof.
    pub proof: Proof,
    /// From where.
    pub origin: Origin,
}

/// A session, with its token for the one time it is shown.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Whose.
    pub account: AccountId,
    /// The session.
    pub session: SessionId,
    /// What the client presents from now on.
    pub token: SessionToken,
    /// What the client keeps, so that strangers do not slow its next sign-in down (U35).
    pub device: DeviceToken,
    /// The absolute end.
    pub expires_at: DateTime<Utc>,
    /// The position to read from.
    pub position: Position,
}

impl OpenSession {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_credentials` when the account is not open, or the proof no longer holds.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<SignedIn, UseCaseError> {
        let Self { account, proof, origin } = self;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let idle = if loaded.state.roles().is_empty() { IDLE } else { IDLE_WITH_ROLE };
        let now = write.now();
        let session = SessionId(write.fresh_id());
        let token = SessionToken::generate(session, write.ports.random.as_ref());
        let expires_at = now + write.access.session_life;
        let row = NewSession {
            session,
            account,
            digest: write.secrets.session(&token),
            created_at: now,
            expires_at,
            idle_seconds: seconds(idle),
            device: sealed(write, account, session, "device", origin.device).await?,
            place: sealed(write, account, session, "place", origin.place).await?,
        };
        sessions::insert_pending(&write.pool, &row).await?;
        let command = |now| AccountCommand::StartSession { session_id: session, expires_at, now };
        let executed = match write.path.execute::<Account>(&account_target(account), context, None, command).await {
            Ok(executed) => executed,
            Err(CommandError::Refused(AccountError::NotOpen)) => return Err(wrong()),
            Err(error) => return Err(error.map(Refusal::from)),
        };
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        if idle != IDLE_WITH_ROLE && !loaded.state.roles().is_empty() {
            sessions::shorten_idle(&write.pool, session, seconds(IDLE_WITH_ROLE)).await?;
        }
        // A session that gave way at the limit stops counting at once; the reconciler would do it later.
        if let Executed::Done { events, .. } = &executed {
            for event in events {
                if let AccountEvent::SessionEnded { session_id, .. } = event {
                    sessions::revoke(&write.pool, account, *session_id).await?;
                }
            }
        }
        let counts = match proof {
            Proof::Password(version) => sessions::activate_by_password(&write.pool, account, session, version).await?,
            Proof::Identity => sessions::activate(&write.pool, session).await?,
        };
        if !counts {
            // Withdrawn in the meantime, by a deletion of the account or a change of its password.
            return Err(wrong());
        }
        // Staff may have ended it, or unproven the address, between the first look and the row that counts now: looked at again after it,
        // whatever ends it later finds the row.
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        let unproven = matches!(proof, Proof::Password(_)) && !loaded.state.email_verified();
        if unproven || !loaded.state.has_session(&session) {
            sessions::revoke(&write.pool, account, session).await?;
            return Err(wrong());
        }
        let device = write.secrets.device(account, write.ports.random.as_ref(), now);
        Ok(SignedIn { account, session, token, device, expires_at, position: executed.position() })
    }
}

fn seconds(time: TimeDelta) -> i32 {
    i32::try_from(time.num_seconds()).unwrap_or(i32::MAX)
}

async fn sealed(
    write: &WriteSide,
    account: AccountId,
    session: SessionId,
    field: &'static str,
    text: Option<String>,
) -> Result<Option<Sealed>, UseCaseError> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(write.vault.seal_row(account, KeyClass::Profile, session.0, "session", field, &text).await?))
}
