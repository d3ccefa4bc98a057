//! Password hashing with argon2id: off the async threads, a bounded number at once, a bounded queue (sec.S1, sec.S2, sec.S4).

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::RandomBytes;

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
    /// One permit for each hash that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each hash that runs.
    running: Arc<Semaphore>,
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
        let places = Arc::new(Semaphore::new(at_once + waiting));
        Self { random, places, running: Arc::new(Semaphore::new(at_once)) }
    }

    pub(crate) async fn bounded<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.expect("the semaphore is never closed");
        // The permits go with the work: a caller that gives up does not end it, so it must keep counting.
        tokio::task::spawn_blocking(move || {
            let _held = (place, running);
            work()
        })
        .await
        .unwrap_or(Err(PasswordError::Failed))
    }

    /// The PHC string to store for a password, with a fresh salt.
    ///
    /// # Errors
    /// `Busy` when too many wait.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let password = Zeroizing::new(password.to_owned());
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        self.bounded(move || {
            let hash: PasswordHash =
                hasher().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| PasswordError::Failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether a password is the one of a stored PHC string, at the cost that string names.
    ///
    /// # Errors
    /// `Busy` when too many wait, `Failed` when the stored text is no argon2 hash.
    pub async fn verify(&self, password: &str, phc: &str) -> Result<bool, PasswordError> {
        let password = Zeroizing::new(password.to_owned());
        let phc = phc.to_owned();
        self.bounded(move || {
            let hash = PasswordHash::new(&phc).map_err(|_| PasswordError::Failed)?;
            match hasher().verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(PasswordError::Failed),
            }
        })
        .await
    }

    /// Spends what [`Self::verify`] spends, for a user that does not exist (sec.S4).
    ///
    /// # Errors
    /// `Busy`, exactly when `verify` would be.
    pub async fn verify_dummy(&self, password: &str) -> Result<(), PasswordError> {
        self.verify(password, NOBODYS).await.map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    fn passwords(at_once: usize, waiting: usize) -> Passwords {
        Passwords::with_bounds(Replayable::new(8), at_once, waiting)
    }

    #[tokio::test]
    async fn s1_a_password_is_stored_as_salted_argon2id_and_verified() {
        let passwords = passwords(2, 64);
        let phc = passwords.hash("correct horse 1!").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(phc, passwords.hash("correct horse 1!").await.unwrap());
        assert!(passwords.verify("correct horse 1!", &phc).await.unwrap());
        assert!(!passwords.verify("correct horse 1! ", &phc).await.unwrap());
        assert_eq!(passwords.verify("x", "plain").await, Err(PasswordError::Failed));
    }

    /// A string another implementation made: argon2's reference command line, "password" with the salt "somesalt".
    #[tokio::test]
    async fn s1_a_hash_of_another_cost_still_verifies_and_asks_to_be_made_anew() {
        let old = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(passwords(1, 1).verify("password", old).await.unwrap());
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
        assert_eq!(passwords.verify("anything", NOBODYS).await, Ok(false));
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
