//! Which passwords are too easy to guess, whatever their form: the common ones, and those made of the person's own names
//! (sec.S3, V07).

use zxcvbn::{Score, zxcvbn};

use crate::{IndexDigest, IndexKind, PasswordError, Passwords, blind_index::BlindIndex};

/// What everybody tries here first.
const OURS: [&str; 2] = ["atelier", "studio"];
/// The letters of a password that are looked at: what is longer is not easy.
const LOOKED_AT: usize = 100;
/// The lengths of usernames.
const USERNAME: std::ops::RangeInclusive<usize> = 3..=30;

/// What a password must not be made of: names in the clear, and a username by its index alone.
#[derive(Clone, Default)]
pub struct OwnNames {
    /// Address and username, as far as the caller knows them.
    pub clear: Vec<String>,
    /// The username's index, for a caller that does not know the name.
    pub username: Option<(BlindIndex, IndexDigest)>,
}

impl OwnNames {
    /// Every name a password may be made of: an address counts in whole and in pieces.
    fn of(&self, password: &str) -> Vec<String> {
        let mut names = self.clear.clone();
        for name in &self.clear {
            names.extend(name.split(|c: char| !c.is_alphanumeric()).filter(|part| part.len() > 2).map(str::to_owned));
        }
        names.extend(self.found(password));
        names
    }

    /// The username, if the password has it: the pieces that could be one are indexed, until one is its index.
    fn found(&self, password: &str) -> Option<String> {
        let (index, username) = self.username.as_ref()?;
        let letters: Vec<char> = password.chars().take(LOOKED_AT).map(|c| c.to_ascii_lowercase()).collect();
        let pieces = (0..letters.len()).filter(|start| letters[*start].is_ascii_alphabetic()).flat_map(|start| {
            let letters = &letters;
            USERNAME.filter_map(move |length| Some(letters.get(start..start + length)?.iter().collect::<String>()))
        });
        pieces.into_iter().find(|piece| index.digest(IndexKind::Username, piece) == *username)
    }
}

/// Whether a million guesses would find it: zxcvbn's estimate over its lists of common passwords and words, keyboard walks, dates,
/// and the names.
fn guessable(password: &str, names: &OwnNames) -> bool {
    let names = names.of(password);
    let names: Vec<&str> = names.iter().map(String::as_str).chain(OURS).collect();
    zxcvbn(password, &names).score() < Score::Two
}

impl Passwords {
    /// Whether a new password is too easy to guess; off the async threads, within the bounds of hashing.
    ///
    /// # Errors
    /// `Busy` when too many wait.
    pub async fn is_guessable(&self, password: &str, names: OwnNames) -> Result<bool, PasswordError> {
        let password = zeroize::Zeroizing::new(password.to_owned());
        self.bounded(move || Ok(guessable(&password, &names))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Replayable;

    fn named(names: &[&str]) -> OwnNames {
        OwnNames { clear: names.iter().map(|name| (*name).to_owned()).collect(), username: None }
    }

    #[test]
    fn s3_v07_common_passwords_and_their_disguises_are_refused() {
        for bad in [
            "password",
            "12345678",
            "iloveyou",
            "sunshine",
            "princess",
            "football",
            "baseball",
            "trustno1",
            "superman",
            "password1!",
            "P@ssw0rd!",
            "Passw0rd!",
            "qwerty123!",
            "abc123!!",
            "12345678!",
            "iloveyou1!",
            "letmein1!",
            "aaaaaaa1!",
            "qwertyuiop",
            "1qaz2wsx!",
            "atelier1!",
            "Atelier-1",
        ] {
            assert!(guessable(bad, &OwnNames::default()), "{bad}");
        }
        for good in [
            "correct-horse-1",
            "atelier-demo-1",
            "another-horse-2",
            "Tr4il mix & rain",
            "\u{e9}t\u{e9} \u{2600} 7 oiseaux",
        ] {
            assert!(!guessable(good, &OwnNames::default()), "{good}");
        }
    }

    #[test]
    fn v07_a_password_made_of_ones_own_names_is_refused() {
        let own = named(&["zephyrine.quill@orchard.example", "zephyrine-q"]);
        for bad in ["zephyrine.quill@orchard.example1!", "Zephyrine1!", "zephyrine-q1", "orchard99!"] {
            assert!(guessable(bad, &own), "{bad}");
        }
        assert!(
            !guessable("zephyrine.quill@orchard.example1!", &OwnNames::default()),
            "another person's is theirs to know"
        );
        // The username is known by its index alone.
        let folder = tempfile::tempdir().unwrap();
        let index = BlindIndex::open(folder.path(), Replayable::new(4).as_ref()).unwrap();
        let digest = index.digest(IndexKind::Username, "zephyrine-q");
        let by_index = OwnNames { clear: Vec::new(), username: Some((index, digest)) };
        assert_eq!(by_index.found("7!ZEPHYRINE-Q7").as_deref(), Some("zephyrine-q"));
        assert!(guessable("Zephyrine-Q7!", &by_index) && !guessable("Zephyrine-Q7!", &OwnNames::default()));
        assert_eq!(by_index.found(&"x".repeat(1_024)), None);
    }
}
