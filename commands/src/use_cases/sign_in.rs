//! `signIn`: email and password for a session. The row waits, the event is appended, the row counts (DESIGN 4).

use atelier_domain::account::{Account, AccountCommand, AccountError};
use atelier_domain::text::Email;
use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::claims;
use atelier_vault::credential_rows::passwords;
use atelier_vault::credential_rows::sessions::{self, NewSession};
use atelier_vault::{Passwords, SessionToken};
use chrono::{DateTime, TimeDelta, Utc};

use super::account_claims::email_digest;
use super::sign_up::busy;
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::{WriteSide, account_target};

/// How long a session lasts (U37).
const SESSION_LIFE: TimeDelta = TimeDelta::days(30);

/// Signs in with a password.
#[derive(Clone)]
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
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
    /// The absolute end.
    pub expires_at: DateTime<Utc>,
    /// The position to read from.
    pub position: Position,
}

impl SignIn {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_credentials`, in the same words and for the same work whether the address or the password is wrong (sec.S4).
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<SignedIn, UseCaseError> {
        let account = self.account(write).await?;
        let now = write.now();
        let session = SessionId(write.fresh_id());
        let token = SessionToken::generate(session, write.ports.random.as_ref());
        let expires_at = now + SESSION_LIFE;
        let row = NewSession { session, account, digest: write.secrets.session(&token), created_at: now, expires_at };
        sessions::insert_pending(&write.pool, &row).await?;
        let command = |now| AccountCommand::StartSession { session_id: session, expires_at, now };
        let executed = match write.path.execute::<Account>(&account_target(account), context, None, command).await {
            Ok(executed) => executed,
            Err(CommandError::Refused(AccountError::NotOpen)) => return Err(wrong()),
            Err(error) => return Err(error.map(Refusal::from)),
        };
        // A session that gave way at the limit stops counting at once; the reconciler would do it later.
        if let crate::command_path::Executed::Done { events, .. } = &executed {
            for event in events {
                if let atelier_domain::account::AccountEvent::SessionEnded { session_id, .. } = event {
                    sessions::revoke(&write.pool, account, *session_id).await?;
                }
            }
        }
        if !sessions::activate(&write.pool, session).await? {
            // Withdrawn in the meantime, by a deletion of the account.
            return Err(wrong());
        }
        Ok(SignedIn { account, session, token, expires_at, position: executed.position() })
    }

    /// Whose address and password these are.
    async fn account(&self, write: &WriteSide) -> Result<AccountId, UseCaseError> {
        let claim = match Email::parse(&self.email) {
            Ok(email) => claims::find(&write.pool, &email_digest(write, &email)).await?,
            Err(_) => None,
        };
        let phc = match claim {
            Some(claim) => passwords::get(&write.pool, claim.account).await?,
            None => None,
        };
        let (Some(claim), Some(phc)) = (claim, phc) else {
            write.passwords.verify_dummy(&self.password).await.map_err(busy)?;
            return Err(wrong());
        };
        if !write.passwords.verify(&self.password, &phc).await.map_err(busy)? {
            return Err(wrong());
        }
        if Passwords::needs_rehash(&phc) {
            let phc = write.passwords.hash(&self.password).await.map_err(busy)?;
            passwords::set(&write.pool, claim.account, &phc, write.now()).await?;
        }
        Ok(claim.account)
    }
}

fn wrong() -> UseCaseError {
    Refusal::new(RefusalCode::InvalidCredentials, "The email address or the password is wrong.").into()
}
