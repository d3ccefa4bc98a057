//! `enrolTwoFactor`: a fresh seed for an authenticator, shown once (V11). Nothing is on before its first code comes.
//!
//! What happens when the process dies: the seed that nobody saw is replaced by the next one, or removed after an hour.

use atelier_domain::account::{Account, AccountError, Status};
use atelier_domain::{AccountId, KeyClass};
use atelier_vault::credential_rows::second_factor;
use atelier_vault::{Opened, TotpSeed};
use zeroize::Zeroizing;

use crate::reconciler::AT_REST;
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// The name authenticators show beside a code.
const ISSUER: &str = "atelier";

/// Makes a seed. The caller has seen a fresh proof of who asks (sec.S7).
#[derive(Debug, Clone, Copy)]
pub struct EnrolTwoFactor {
    /// Whose.
    pub account: AccountId,
}

/// A seed, for the one time it is shown.
pub struct Enrolled {
    /// In base32, to type.
    pub secret: Zeroizing<String>,
    /// As an `otpauth://` address, to show as a QR code.
    pub uri: Zeroizing<String>,
}

impl EnrolTwoFactor {
    /// Runs the use case.
    ///
    /// # Errors
    /// `not_possible_now` when the factor is on, or is just being turned on; `not_found` when the account is not open.
    pub async fn run(self, write: &WriteSide) -> Result<Enrolled, UseCaseError> {
        let account = self.account;
        let loaded =
            write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
        if loaded.state.status() != Status::Open {
            return Err(Refusal::from(AccountError::NotOpen).into());
        }
        if loaded.state.two_factor() {
            return Err(Refusal::from(AccountError::TwoFactorOn).into());
        }
        let name = match loaded.state.email() {
            Some(email) => match write.vault.open(account, "email", email).await? {
                Opened::Text(address) => address,
                Opened::Erased => String::new(),
            },
            None => String::new(),
        };
        let seed = TotpSeed::generate(write.ports.random.as_ref());
        let secret = Zeroizing::new(seed.to_base32());
        let sealed =
            write.vault.seal_row(account, KeyClass::Profile, account.0, "second_factor", "seed", &secret).await?;
        let now = write.now();
        if !second_factor::enrol(&write.pool, account, &sealed, now, now - AT_REST).await? {
            let message = "Two-factor authentication is being turned on or off; try again in a few minutes.";
            return Err(Refusal::new(RefusalCode::NotPossibleNow, message).into());
        }
        Ok(Enrolled { secret, uri: Zeroizing::new(seed.uri(ISSUER, &name)) })
    }
}
