//! Device tokens: what a client keeps that signed in to an account before, so that strangers' wrong guesses do not slow it down (U35).
//!
//! It signs nobody in. `<nonce, 16 bytes><made at, 8 bytes><keyed digest of both and the account, 32 bytes>` in base64url; the
//! token names nobody, and nothing is stored of it.

use std::fmt;

use atelier_domain::AccountId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};

use crate::keyed_hash::keyed_hash;
use crate::{NotAToken, RandomBytes, SecretDigest, Secrets};

const NONCE: usize = 16;
const HEAD: usize = NONCE + 8;
const BYTES: usize = HEAD + 32;
/// How long a device is known without signing in.
pub const DEVICE_LIFE: TimeDelta = TimeDelta::days(180);

/// A device token; never printed.
#[derive(Clone)]
pub struct DeviceToken([u8; BYTES]);

impl DeviceToken {
    /// Reads a presented token, strictly; only [`Secrets::knows_device`] says whose it is.
    ///
    /// # Errors
    /// When it is anything but a well-formed device token.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAToken)?;
        Ok(Self(bytes.try_into().map_err(|_| NotAToken)?))
    }

    /// The whole token, for the client to keep.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(..)")
    }
}

impl Secrets {
    fn device_mac(&self, account: AccountId, head: &[u8]) -> SecretDigest {
        SecretDigest::of(keyed_hash(self.key(), "device", &[account.0.as_bytes(), head]))
    }

    /// A fresh token for a device that has just signed in to an account.
    #[must_use]
    pub fn device(&self, account: AccountId, random: &dyn RandomBytes, now: DateTime<Utc>) -> DeviceToken {
        let mut bytes = [0; BYTES];
        random.fill(&mut bytes[..NONCE]);
        bytes[NONCE..HEAD].copy_from_slice(&now.timestamp().to_be_bytes());
        let mac = self.device_mac(account, &bytes[..HEAD]);
        bytes[HEAD..].copy_from_slice(mac.as_bytes());
        DeviceToken(bytes)
    }

    /// Whether a device signed in to this account within [`DEVICE_LIFE`].
    #[must_use]
    pub fn knows_device(&self, account: AccountId, device: &DeviceToken, now: DateTime<Utc>) -> bool {
        let mut made_at = [0; 8];
        made_at.copy_from_slice(&device.0[NONCE..HEAD]);
        let age = now.timestamp().saturating_sub(i64::from_be_bytes(made_at));
        // A few seconds ahead is another node's clock.
        let young = (-60..=DEVICE_LIFE.num_seconds()).contains(&age);
        young & self.device_mac(account, &device.0[..HEAD]).matches(&device.0[HEAD..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Replayable, account};

    #[test]
    fn u35_a_device_is_known_to_one_account_of_one_server_for_a_while() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let random = Replayable::new(9);
        let secrets = Secrets::open(folder.path(), random.as_ref()).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let token = secrets.device(account(1), random.as_ref(), now);
        let token = DeviceToken::parse(&token.expose()).unwrap();
        assert!(secrets.knows_device(account(1), &token, now));
        assert!(secrets.knows_device(account(1), &token, now + DEVICE_LIFE));
        assert!(!secrets.knows_device(account(1), &token, now + DEVICE_LIFE + TimeDelta::seconds(1)));
        assert!(!secrets.knows_device(account(1), &token, now - TimeDelta::seconds(61)));
        assert!(!secrets.knows_device(account(2), &token, now));
        let foreign = Secrets::open(elsewhere.path(), random.as_ref()).unwrap();
        assert!(!foreign.knows_device(account(1), &token, now));
        for place in [0, NONCE, HEAD, BYTES - 1] {
            let mut changed = token.clone();
            changed.0[place] ^= 1;
            assert!(!secrets.knows_device(account(1), &changed, now), "byte {place}");
        }
        assert!(DeviceToken::parse(&token.expose()[1..]).is_err() && DeviceToken::parse("").is_err());
        assert_eq!(format!("{token:?}"), "DeviceToken(..)");
    }
}
