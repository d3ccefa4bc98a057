//! The second factor: time-based one-time passwords of six digits, every 30 seconds, over HMAC-SHA-1 (RFC 6238, sec.T1).

use std::fmt;

use chrono::{DateTime, Utc};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::RandomBytes;
use crate::typed_code::separates;

/// Seconds of one step; what authenticators assume.
pub const STEP_SECONDS: u64 = 30;
/// How many steps before and after the current one are accepted: a telephone's clock may be that much behind or ahead, and a code is typed
/// while its step ends. ASVS 6.5.5 allows 30 seconds; the exception is written down in `ARCHITECTURE.md`.
const STEPS_BESIDE: u64 = 1;
/// 160 bits, the length RFC 4226 recommends.
const SEED_BYTES: usize = 20;

/// The seed an authenticator shares with us; never printed.
#[derive(Clone)]
pub struct TotpSeed(Secret);

impl TotpSeed {
    /// A fresh seed.
    #[must_use]
    pub fn generate(random: &dyn RandomBytes) -> Self {
        let mut bytes = Zeroizing::new([0; SEED_BYTES]);
        random.fill(bytes.as_mut_slice());
        Self(Secret::from(*bytes))
    }

    /// Reads the base32 form; `None` when it is not one of 160 bits.
    #[must_use]
    pub fn from_base32(text: &str) -> Option<Self> {
        Secret::try_from_base32(text).ok().filter(|secret| secret.as_bytes().len() == SEED_BYTES).map(Self)
    }

    /// The base32 form, for the row it is sealed in and for the owner to type.
    #[must_use]
    pub fn to_base32(&self) -> String {
        self.0.to_base32()
    }

    fn totp(&self, digits: u8) -> Totp {
        let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(digits).with_skew(0);
        builder.with_step_duration(STEP_SECONDS).with_secret(self.0.clone()).build_noncompliant()
    }

    /// The step whose code this is: the current one, the one before it or the one after it; the newest if several match.
    #[must_use]
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let totp = self.totp(6);
        let current = u64::try_from(now.timestamp()).ok()? / STEP_SECONDS;
        let typed: String = code.chars().filter(|c| !separates(*c)).collect();
        // Every candidate is looked at, whichever matches.
        let mut found = None;
        for step in current.saturating_sub(STEPS_BESIDE)..=current + STEPS_BESIDE {
            let expected = Zeroizing::new(totp.generate(step * STEP_SECONDS).to_string());
            if bool::from(expected.as_bytes().ct_eq(typed.as_bytes())) {
                found = i64::try_from(step).ok();
            }
        }
        found
    }

    /// The `otpauth://` address that authenticators read, usually as a QR code.
    #[must_use]
    pub fn uri(&self, issuer: &str, account_name: &str) -> String {
        let (issuer, name) = (percent(issuer), percent(account_name));
        let secret = self.to_base32();
        format!(
            "otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_SECONDS}"
        )
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn percent(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

impl fmt::Debug for TotpSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed of RFC 6238, appendix B, for SHA-1.
    fn seed() -> TotpSeed {
        TotpSeed(Secret::from(*b"12345678901234567890"))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// RFC 6238, appendix B, SHA-1: eight digits as printed there, and six, which are their last six.
    const VECTORS: [(i64, &str); 6] = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];

    #[test]
    fn t1_the_vectors_of_rfc_6238() {
        for (seconds, code) in VECTORS {
            let time = u64::try_from(seconds).unwrap();
            assert_eq!(seed().totp(8).generate(time).to_string(), code, "{seconds}");
            assert_eq!(seed().step_of(&code[2..], at(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn t1_a_code_counts_in_its_step_and_the_ones_beside_it() {
        let (step, code) = (1_111_111_111 / 30, "050471");
        let starts = step * 30;
        for (second, expected) in
            [(starts - 31, None), (starts - 30, Some(step)), (starts + 59, Some(step)), (starts + 60, None)]
        {
            assert_eq!(seed().step_of(code, at(second)), expected, "{second}");
        }
        for typed in [
            "050 471",
            " 050471",
            "050-471",
            "050\u{a0}471",
            "050\u{2011}471",
            "050\u{202f}471",
            "050471\r\n",
            "\u{feff}050\t471",
        ] {
            assert_eq!(
                seed().step_of(typed, at(starts)),
                Some(step),
                "{typed:?}: shown in groups, pasted with its surroundings"
            );
        }
        for wrong in ["", "050472", "14050471", "50471", "0504710", "\u{660}50471"] {
            assert_eq!(seed().step_of(wrong, at(starts)), None, "{wrong}");
        }
    }

    #[test]
    fn t2_a_seed_is_160_bits_survives_its_text_and_is_not_printed() {
        let seed = TotpSeed::generate(crate::testing::Replayable::new(3).as_ref());
        let text = seed.to_base32();
        assert_eq!(text.len(), 32);
        assert_eq!(TotpSeed::from_base32(&text).unwrap().to_base32(), text);
        assert!(TotpSeed::from_base32(&text[..24]).is_none());
        assert_eq!(format!("{seed:?}"), "TotpSeed(..)");
        let uri = seed.uri("atelier", "ada+x@example.com");
        assert!(uri.starts_with("otpauth://totp/atelier:ada%2Bx%40example.com?secret="), "{uri}");
    }
}
