//! `signIn`: email and password for a session, or for the challenge of the second factor. Whatever is wrong, the answer and the work are the same (sec.S4).
//!
//! What happens when the process dies: the try stays counted until it is forgiven; the rest is [`OpenSession`]'s.

use atelier_domain::AccountId;
use atelier_domain::account::{Account, Status};
use atelier_vault::credential_rows::passwords;
use atelier_vault::{Client, DeviceToken, PasswordError, Passwords, Share};
use chrono::TimeDelta;
use uuid::Uuid;

use super::address_lookup::{Looked, look_up};
use super::complete_sign_in::{Entrance, enter};
use super::open_session::{OpenSession, Proof};
use crate::command_path::{CommandContext, CommandError};
use crate::origin::Origin;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::security_log;
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// Nobody's account: what is looked up for an address that is nobody's, so that the look costs the same.
const NOBODY: AccountId = AccountId(Uuid::nil());

/// Signs in with a password.
#[derive(Clone)]
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// From where.
    pub origin: Origin,
}

impl SignIn {
    /// Runs the use case: a session, or a challenge where a second factor is on.
    ///
    /// # Errors
    /// `invalid_credentials`, in the same words and for the same work whether the address is unknown or unverified or the password
    /// is wrong (sec.S4); `rate_limited`, for unknown addresses too (U35).
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Entrance, UseCaseError> {
        let Self { email, password, origin } = self;
        // What is no address is nobody's, and is counted like one.
        let Looked { index: digest, claim } = look_up(write, &email).await?;
        let holder = claim.map(|claim| claim.account);
        let account = holder.unwrap_or(NOBODY);
        let stored = passwords::get(&write.pool, account).await?;
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        let known = knows(write, holder, &origin);
        let buckets = buckets(write, known, &digest.digest, version, &origin);
        let counted = throttle::count(write, buckets, holder).await?;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        // An address that nobody has proven signs in to nothing: whoever signed up may not be its owner.
        let may = loaded.state.status() == Status::Open && loaded.state.email_verified();
        let hasher = write.passwords.shared_by(if known.is_some() { Share::Known } else { origin.share() });
        let verified = match &stored {
            Some(stored) => hasher.verify(&password, stored).await,
            None => hasher.verify_dummy(&password).await.map(|()| false),
        };
        let right = match verified {
            Ok(right) => right,
            Err(error) => {
                counted.take_back(write, false).await?;
                return Err(overloaded(error));
            }
        };
        let Some(stored) = stored.filter(|_| right && may) else { return Err(wrong()) };
        counted.take_back(write, true).await?;
        if (Passwords::needs_rehash(&stored.phc) || !stored.of_nfc)
            && let Ok(phc) = write.passwords.hash(&password).await
        {
            // Not over a password that was changed meanwhile; and a busy moment is none to insist.
            passwords::rehash(&write.pool, account, &stored.phc, &phc).await?;
        }
        enter(OpenSession { account, proof: Proof::Password(stored.version), origin }, write, context).await
    }
}

/// The account and the device that signed in to it before, if one asks.
fn knows<'a>(write: &WriteSide, holder: Option<AccountId>, origin: &'a Origin) -> Option<(AccountId, &'a DeviceToken)> {
    let known = holder.zip(origin.device_token.as_ref());
    known.filter(|(account, device)| write.secrets.knows_device(*account, device, write.now()))
}

/// Where a try is counted: a device that is known has a bucket of its own, and nobody else's tries count there; everybody else has one for
/// the address and their client, beside those of the address and of the client. Each password begins anew: whoever reset it is not
/// refused for the tries before.
fn buckets(
    write: &WriteSide,
    known: Option<(AccountId, &DeviceToken)>,
    address: &[u8; 32],
    version: i64,
    origin: &Origin,
) -> Vec<Bucket> {
    let version = version.to_be_bytes();
    if let Some((account, device)) = known {
        let device = device.expose();
        return vec![Bucket::of(write, Rule::SignInFromDevice, &[account.0.as_bytes(), device.as_bytes(), &version])];
    }
    let client = origin.client.as_ref();
    let narrowest: &[u8] = client.and_then(Client::narrowest).map_or(&[], |network| network.as_bytes());
    let by_this = Bucket::of(write, Rule::SignInToAddress, &[address, &version, narrowest]);
    let by_all = Bucket::of(write, Rule::SignInToAddressByAll, &[address, &version]);
    [by_this, by_all].into_iter().chain(Bucket::of_client(write, Rule::SignInFromClient, client)).collect()
}

/// The one answer to whoever is not let in.
pub(super) fn wrong() -> UseCaseError {
    security_log::refused("sign_in_refused", "credentials");
    let message = "The email address or the password is wrong, or the address has not been verified yet.";
    Refusal::new(RefusalCode::InvalidCredentials, message).into()
}

/// Too many passwords are being hashed: later, and nothing was tried; a fault is a fault (sec.S2).
pub(super) fn overloaded(error: PasswordError) -> UseCaseError {
    match error {
        PasswordError::Busy => Refusal::too_many(TimeDelta::seconds(1)).into(),
        PasswordError::Failed => CommandError::Internal("a password could not be hashed".into()),
    }
}
