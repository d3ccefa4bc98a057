//! Password hashing with argon2id: off the async threads, a bounded number at once, a bounded queue that is shared fairly (sec.S1, sec.S2,
//! sec.S4).

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::RandomBytes;
use crate::credential_rows::passwords::StoredPassword;
use crate::fair_places::{FairPlaces, Share};

/// Memory of one hash in KiB; with two passes on one lane, one of the settings sec.S1 allows (about 20 ms).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes running at once: one for each core of a small machine, 38 MiB in all.
const AT_ONCE: usize = 2;
/// Hashes waiting: at 20 ms each the last one waits under a second.
const WAITING: usize = 64;

/// A hash of the usual cost that no known password has: unknown users are checked against it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was not hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting: 429 with Retry-After.
    #[error("too many password checks at once")]
    Busy,
    /// The stored text is not an argon2 hash, or hashing failed; a fault.
    #[error("a password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords. Cheap to clone; clones share the bounds.
#[derive(Clone)]
pub struct Passwords {
    random: Arc<dyn RandomBytes>,
    places: Arc<FairPlaces>,
    share: Share,
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the cost constants are in argon2's range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Passwords {
    /// Two hashes at once and 64 waiting.
    #[must_use]
    pub fn new(random: Arc<dyn RandomBytes>) -> Self {
        Self::with_bounds(random, AT_ONCE, WAITING)
    }

    /// Chosen bounds: `at_once` times 19 MiB of memory, then `waiting` more before [`PasswordError::Busy`].
    #[must_use]
    pub fn with_bounds(random: Arc<dyn RandomBytes>, at_once: usize, waiting: usize) -> Self {
        Self { random, places: FairPlaces::new(at_once, waiting), share: Share::default() }
    }

    /// The same, for somebody: hashes take that one's places.
    #[must_use]
    pub fn shared_by(&self, share: Share) -> Self {
        Self { share, ..self.clone() }
    }

    pub(crate) async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.places.place(self.share.clone()).await.map_err(|_| PasswordError::Busy)?;
        // The place goes with the work: a caller that gives up does not end it, so it must keep counting.
        tokio::task::spawn_blocking(move || {
            let _held = place;
            work()
        })
        .await
        .unwrap_or(Err(PasswordError::Failed))
    }

    /// The PHC string to store for a password, with a fresh salt: of its NFC form, so that it is the same password however a keyboard
    /// composes its letters.
    ///
    /// # Errors
    /// `Busy` when too many wait.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let password = composed(password);
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        self.bounded(move || {
            let hash: PasswordHash =
                hasher().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| PasswordError::Failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a typed password is the stored one, at the cost that its PHC string names. A hash of the NFC form is compared with the NFC form
    /// of what was typed. One that was stored before may be of any form: what was typed is tried as it is and in NFC.
    ///
    /// What is not typed in NFC costs two hashes, whatever is stored and whether anything is, so that the time tells nothing (sec.S4).
    ///
    /// # Errors
    /// `Busy` when too many wait, `Failed` when the stored text is no argon2 hash.
    pub async fn verify(&self, typed: &str, stored: &StoredPassword) -> Result<bool, PasswordError> {
        let (nfc, typed) = (composed(typed), Zeroizing::new(typed.to_owned()));
        let stored = stored.clone();
        self.bounded(move || {
            let hash = PasswordHash::new(&stored.phc).map_err(|_| PasswordError::Failed)?;
            let right = |password: &str| match hasher().verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(PasswordError::Failed),
            };
            let as_nfc = right(&nfc)?;
            let as_typed = *typed != *nfc && right(&typed)?;
            Ok(as_nfc || as_typed && !stored.of_nfc)
        })
        .await
    }

    /// Spends what [`Self::verify`] spends, for a user that does not exist (sec.S4).
    ///
    /// # Errors
    /// `Busy`, exactly when `verify` would be.
    pub async fn verify_dummy(&self, password: &str) -> Result<(), PasswordError> {
        let nobodys = StoredPassword { phc: NOBODYS.to_owned(), version: 0, of_nfc: true };
        self.verify(password, &nobodys).await.map(drop)
    }

    /// Whether a stored hash has another algorithm or cost than today's: hash anew at the next right password (sec.S1).
    #[must_use]
    pub fn needs_rehash(phc: &str) -> bool {
        let Ok(hash) = PasswordHash::new(phc) else { return true };
        let Ok(params) = Params::try_from(&hash) else { return true };
        hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
            || hash.version != Some(Version::V0x13.into())
            || (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY_KIB, PASSES, LANES)
    }
}

/// A password in NFC: the form in which it is checked and hashed. Nothing else is changed.
#[must_use]
pub fn composed(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfc().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    fn stored(phc: &str, of_nfc: bool) -> StoredPassword {
        StoredPassword { phc: phc.to_owned(), version: 1, of_nfc }
    }

    fn passwords(at_once: usize, waiting: usize) -> Passwords {
        Passwords::with_bounds(Replayable::new(8), at_once, waiting)
    }

    #[tokio::test]
    async fn s1_a_password_is_stored_as_salted_argon2id_and_verified() {
        let passwords = passwords(2, 64);
        let phc = passwords.hash("correct horse 1!").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(phc, passwords.hash("correct horse 1!").await.unwrap());
        assert!(passwords.verify("correct horse 1!", &stored(&phc, true)).await.unwrap());
        assert!(!passwords.verify("correct horse 1! ", &stored(&phc, true)).await.unwrap());
        assert_eq!(passwords.verify("x", &stored("plain", true)).await, Err(PasswordError::Failed));
    }

    #[tokio::test]
    async fn a_password_is_the_same_in_every_form_and_an_older_one_as_it_was_set() {
        const NFC: &str = "caf\u{e9} noir 1";
        const NFD: &str = "cafe\u{301} noir 1";
        let passwords = passwords(2, 64);
        for set in [NFC, NFD] {
            let phc = passwords.hash(set).await.unwrap();
            for typed in [NFC, NFD] {
                assert!(passwords.verify(typed, &stored(&phc, true)).await.unwrap(), "{set:?} {typed:?}");
            }
        }
        // As releases before hashed them: byte for byte.
        let raw = |set: &str| hasher().hash_password_with_salt(set.as_bytes(), &[7; 16]).unwrap().to_string();
        for (set, typed, right) in [(NFC, NFC, true), (NFC, NFD, true), (NFD, NFD, true), (NFD, NFC, false)] {
            assert_eq!(passwords.verify(typed, &stored(&raw(set), false)).await, Ok(right), "{set:?} {typed:?}");
        }
        // What is stored as of the NFC form is of no other.
        assert_eq!(passwords.verify(NFD, &stored(&raw(NFD), true)).await, Ok(false));
        assert_eq!(passwords.verify("cafe noir 1", &stored(&raw(NFC), false)).await, Ok(false));
    }

    /// A string another implementation made: argon2's reference command line, "password" with the salt "somesalt".
    #[tokio::test]
    async fn s1_a_hash_of_another_cost_still_verifies_and_asks_to_be_made_anew() {
        let old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(passwords(1, 1).verify("password", &stored(old, false)).await.unwrap());
        assert!(Passwords::needs_rehash(old));
    }

    /// RFC 9106, 5.3: the program beneath is argon2id, with every input it has.
    #[test]
    fn s1_the_vector_of_rfc_9106() {
        let mut params = argon2::ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).data(argon2::AssociatedData::new(&[4; 12]).unwrap());
        let secret = [3; 8];
        let argon =
            Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params.build().unwrap()).unwrap();
        let mut tag = [0; 32];
        argon.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(tag, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
    }

    #[test]
    fn s1_what_differs_from_todays_setting_needs_a_rehash() {
        assert!(!Passwords::needs_rehash(NOBODYS));
        for other in ["m=19456,t=3,p=1", "m=9728,t=2,p=1", "m=19456,t=2,p=2"] {
            assert!(Passwords::needs_rehash(&NOBODYS.replace("m=19456,t=2,p=1", other)), "{other}");
        }
        assert!(Passwords::needs_rehash(&NOBODYS.replace("argon2id", "argon2i")));
        assert!(Passwords::needs_rehash(&NOBODYS.replace("v=19", "v=16")));
        assert!(Passwords::needs_rehash("plain"));
    }

    #[tokio::test]
    async fn s4_nobodys_hash_is_checked_like_any_other() {
        let passwords = passwords(1, 1);
        assert_eq!(passwords.verify_dummy("anything").await, Ok(()));
        assert_eq!(passwords.verify("anything", &stored(NOBODYS, true)).await, Ok(false));
    }

    #[tokio::test]
    async fn s2_no_more_run_or_wait_than_allowed_and_an_abandoned_hash_keeps_counting() {
        let passwords = passwords(1, 1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let passwords = passwords.clone();
            async move {
                let work = move || {
                    started.send(()).unwrap();
                    may_finish.recv().unwrap();
                    Ok(())
                };
                passwords.bounded(work).await
            }
        });
        has_started.await.unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());

        let mut waiting = Box::pin(passwords.verify_dummy("waits"));
        assert!(poll_once(&mut waiting).await.is_none(), "the second waits for the first");
        assert_eq!(passwords.verify_dummy("too many").await, Err(PasswordError::Busy));
        finish.send(()).unwrap();
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(passwords.verify_dummy("room again").await, Ok(()));
    }

    async fn poll_once<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
