//! Whether a username is free: what a sign-up or rename screen asks while a person types, answered as `signUp` would (U27-U29). Usernames
//! are public, so this reveals no more than a public profile; it is still rate-limited by client (sec.R5).

use atelier_domain::AccountId;
use atelier_domain::account::{Account, Status};
use atelier_domain::text::{Email, Username};
use atelier_vault::credential_rows::claims::{self, ClaimState};

use super::account_claims::{STALE_AFTER, username_digest, username_taken};
use crate::origin::Origin;
use crate::refusal::{Refusal, UseCaseError, in_field};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// How many usernames are tried for a suggestion.
const SUGGESTIONS: u32 = 5;
/// The longest stem of a suggestion; a number comes behind it.
const LONGEST_STEM: usize = 24;

/// Asks whether a username is free.
#[derive(Clone)]
pub struct CheckUsername {
    /// The username.
    pub username: String,
    /// The signed-in account that asks, if one does: a name that it has already is free to it.
    pub account: Option<AccountId>,
    /// From where.
    pub origin: Origin,
}

impl CheckUsername {
    /// Runs the use case. It is free when nothing refuses it.
    ///
    /// # Errors
    /// What `signUp` would refuse it with: `invalid_field` for a malformed or reserved one, `username_taken` for one that belongs to an
    /// account, still redirects to one, or is under quarantine; `rate_limited`.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        let username = in_field("username", Username::parse(&self.username))?;
        let of_client = Bucket::of_client(write, Rule::UsernameFromClient, self.origin.client.as_ref());
        // Every question counts; none is taken back.
        let _ = throttle::count(write, of_client.into_iter().collect(), None).await?;
        if is_free(write, &username, self.account).await? { Ok(()) } else { Err(username_taken().into()) }
    }
}

/// Whether a sign-up, or a rename of `asking`, would get this name now. Nothing is changed: a stale claim whose account never opened counts
/// as free, and the sign-up that takes the name removes it.
pub(super) async fn is_free(
    write: &WriteSide,
    username: &Username,
    asking: Option<AccountId>,
) -> Result<bool, UseCaseError> {
    let (index, now) = (username_digest(write, username), write.now());
    if let Some(claim) = claims::find(&write.pool, &index).await?.filter(|claim| !claim.is_free(now)) {
        if asking == Some(claim.account) {
            return Ok(true);
        }
        let certain = claim.settled || claim.state != ClaimState::Held || now - claim.claimed_at < STALE_AFTER;
        if certain || opened(write, claim.account).await? {
            return Ok(false);
        }
    }
    Ok(!write.quarantine.holds(&write.pool, &index, now).await?)
}

/// Whether an account ever opened.
async fn opened(write: &WriteSide, account: AccountId) -> Result<bool, UseCaseError> {
    let loaded = write.path.load::<Account>(&account.to_string()).await.map_err(|error| error.map(Refusal::from))?;
    Ok(!matches!(loaded.state.status(), Status::New | Status::Abandoned))
}

/// A free username made from an email address; none when the first few candidates are taken or malformed.
pub(super) async fn suggest(write: &WriteSide, email: &Email) -> Result<Option<String>, UseCaseError> {
    let stem = stem(email.as_ref());
    for number in 1..=SUGGESTIONS {
        let name = if number == 1 { stem.clone() } else { format!("{stem}{number}") };
        if let Ok(username) = Username::parse(&name)
            && is_free(write, &username, None).await?
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The letters of an address's local part that a username may have, from its first letter on.
fn stem(address: &str) -> String {
    let local = address.split(['@', '+']).next().unwrap_or_default().to_ascii_lowercase();
    let words = local.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let from_letter = joined.trim_start_matches(|letter: char| !letter.is_ascii_lowercase());
    from_letter.chars().take(LONGEST_STEM).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_could_be_a_username_or_is_too_short() {
        for (address, expected) in [
            ("ada@example.com", "ada"),
            ("Ada.Lovelace+news@example.com", "ada-lovelace"),
            ("a__b..c@example.com", "a-b-c"),
            ("1815-ada@example.com", "ada"),
            ("--@example.com", ""),
            ("\u{e4}da@example.com", "da"),
            ("abcdefghijklmnopqrstuvw-xyz@example.com", "abcdefghijklmnopqrstuvw"),
        ] {
            assert_eq!(stem(address), expected, "{address}");
            assert!(Username::parse(expected).is_ok() || expected.len() < 3, "{address}");
        }
    }
}
