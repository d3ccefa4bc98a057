//! Slowing down what can be guessed and what sends mail (U34, U35, sec.R5): tries are counted, before anybody knows what comes of
//! them, in buckets that slow down twofold and forgive with time. Nothing is ever locked for good. A device that signed in before, or
//! has just reset the password, has a bucket of its own, which strangers do not reach; every client has one for each address it tries, and
//! a change of the password begins all of an address's anew.
//!
//! What happens when the process dies: a try that was counted stays counted until it is forgiven.

use std::time::Duration;

use atelier_domain::AccountId;
use atelier_vault::credential_rows::tries::{self, Pace};
use atelier_vault::{Client, SecretDigest};
use chrono::TimeDelta;

use crate::refusal::{Refusal, UseCaseError};
use crate::security_log;
use crate::write_side::WriteSide;

const fn pace(free: i32, forgive: u64, pause: u64, cap: u64) -> Pace {
    let seconds = Duration::from_secs;
    Pace { free, forgive: seconds(forgive), pause: seconds(pause), cap: seconds(cap) }
}

/// What is tried, and how fast it may be. Each rule counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Passwords for one address by one client that is not known to its account: about a hundred a day at most. All clients whose
    /// address we do not know are one.
    SignInToAddress,
    /// Passwords for one address by all such clients together: thirty at once, then one in five minutes. One client cannot fill it.
    SignInToAddressByAll,
    /// Passwords from one client's address, whoever's.
    SignInFromClient,
    /// Passwords from a device that signed in to the account before.
    SignInFromDevice,
    /// Proofs inside a session: the current password of a change, a step-up, a code.
    ProofBySession,
    /// Sign-ups from one client's address.
    SignUpFromClient,
    /// Passwords of the sign-up that a mail's link belongs to.
    ProofByLink,
    /// Requests for mails from one client's address.
    MailFromClient,
    /// Browsers sent to Google from one client's address: a stranger must not take all the places of those who are away (sec.R5).
    LeaveFromClient,
    /// Questions whether a username is free, from one client's address: sixty at once, then one every three seconds.
    UsernameFromClient,
    /// Verification mails to one address: one a minute.
    VerificationToAddress,
    /// Reset mails to one address: one a minute.
    ResetToAddress,
    /// What one member of the staff looks at and changes: sixty at once, then one a minute or so.
    StaffRequest,
    /// Copies of everything an account has: three, then one in half a day (U25).
    ExportOfAccount,
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::SignInToAddress => "sign in to address",
            Self::SignInToAddressByAll => "sign in to address by all",
            Self::SignInFromClient => "sign in from client",
            Self::SignInFromDevice => "sign in from device",
            Self::ProofBySession => "proof by session",
            Self::SignUpFromClient => "sign up from client",
            Self::ProofByLink => "proof by link",
            Self::MailFromClient => "mail from client",
            Self::LeaveFromClient => "leave from client",
            Self::UsernameFromClient => "username from client",
            Self::VerificationToAddress => "verification to address",
            Self::ResetToAddress => "reset to address",
            Self::StaffRequest => "staff request",
            Self::ExportOfAccount => "export of account",
        }
    }

    const fn pace(self) -> Pace {
        match self {
            Self::SignInToAddress => pace(5, 900, 10, 900),
            Self::SignInToAddressByAll => pace(30, 300, 10, 300),
            Self::SignInFromClient => pace(30, 60, 10, 900),
            Self::SignInFromDevice | Self::ProofBySession | Self::ProofByLink => pace(10, 300, 10, 300),
            Self::SignUpFromClient => pace(10, 600, 10, 900),
            Self::StaffRequest => pace(60, 60, 10, 300),
            Self::MailFromClient => pace(10, 300, 10, 900),
            Self::LeaveFromClient => pace(30, 20, 10, 900),
            Self::UsernameFromClient => pace(60, 3, 3, 60),
            Self::VerificationToAddress | Self::ResetToAddress => pace(0, 60, 60, 60),
            Self::ExportOfAccount => pace(2, 43_200, 43_200, 43_200),
        }
    }
}

/// A bucket: a rule, and who or what it is about.
#[derive(Clone, Copy)]
pub struct Bucket {
    rule: &'static str,
    digest: SecretDigest,
    pace: Pace,
}

impl Bucket {
    /// The bucket of a rule about this; parts are digests and ids, never clear text that could be guessed back.
    #[must_use]
    pub fn of(write: &WriteSide, rule: Rule, about: &[&[u8]]) -> Self {
        Self { rule: rule.name(), digest: write.secrets.tries(rule.name(), about), pace: rule.pace() }
    }

    /// The buckets of a rule about a client's networks, the narrowest first; none when they are not known. A wider network has twice, and
    /// four times, the tries of one client: many live in it.
    #[must_use]
    pub fn of_client(write: &WriteSide, rule: Rule, client: Option<&Client>) -> Vec<Self> {
        let networks = client.map(Client::networks).unwrap_or_default();
        let bucket = |(network, times): (&SecretDigest, u32)| {
            let Self { digest, pace, rule } = Self::of(write, rule, &[network.as_bytes()]);
            let free = pace.free.saturating_mul(times.try_into().unwrap_or(i32::MAX));
            Self { rule, digest, pace: Pace { free, forgive: pace.forgive / times, ..pace } }
        };
        networks.iter().zip([1, 2, 4]).map(bucket).collect()
    }
}

/// A try that was counted.
#[must_use = "a try that turns out right is taken back"]
pub struct Counted(Vec<Bucket>);

/// Counts a try in every bucket, or in none. `owner` is whose account it is about, so that its deletion takes the bucket along.
///
/// # Errors
/// `rate_limited` with the time to wait; the database's failures.
pub async fn count(write: &WriteSide, buckets: Vec<Bucket>, owner: Option<AccountId>) -> Result<Counted, UseCaseError> {
    let rows: Vec<_> = buckets.iter().map(|bucket| (bucket.digest, bucket.pace)).collect();
    match tries::count(&write.pool, &rows, owner, write.now()).await? {
        None => Ok(Counted(buckets)),
        Some(wait) => {
            metrics::counter!("atelier_tries_refused_total").increment(1);
            security_log::refused("throttled", buckets.first().map_or("", |bucket| bucket.rule));
            // Whole seconds, rounded up: a client that waits as long is let in.
            let seconds = i64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX / 1_000);
            Err(Refusal::too_many(TimeDelta::seconds(seconds)).into())
        }
    }
}

impl Counted {
    /// Nobody looked at it after all, or it was right: it does not count. The first bucket, whose owner this proves, is forgotten
    /// when `proven`; the others, a client's above all, lose just this one, or whoever has one account of their own could guess at
    /// others' for ever.
    ///
    /// # Errors
    /// When the database failed; the try is then forgiven with time.
    pub async fn take_back(self, write: &WriteSide, proven: bool) -> Result<(), UseCaseError> {
        let digests: Vec<_> = self.0.iter().map(|bucket| bucket.digest).collect();
        match digests.split_first() {
            Some((first, others)) if proven => {
                tries::forget(&write.pool, first).await?;
                if !others.is_empty() {
                    tries::take_back(&write.pool, others).await?;
                }
            }
            _ => tries::take_back(&write.pool, &digests).await?,
        }
        Ok(())
    }
}
