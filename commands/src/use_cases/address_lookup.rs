//! Whose an address is: by today's form, and by those under which releases before this one have claimed addresses.

use atelier_domain::text::Email;
use atelier_vault::credential_rows::claims::{self, Claim};
use atelier_vault::{IndexDigest, IndexKind};

use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// An address that was looked up.
pub(crate) struct Looked {
    /// The digest it is claimed by; when nobody has it, that of today's form.
    pub index: IndexDigest,
    /// Who has it.
    pub claim: Option<Claim>,
}

/// Looks a typed address up, in whatever form it is typed. The number of look-ups tells whether it has letters beyond ASCII, and not whether it
/// is anybody's: each of its forms is looked up.
///
/// # Errors
/// When the database failed.
pub(crate) async fn look_up(write: &WriteSide, typed: &str) -> Result<Looked, UseCaseError> {
    let mut found: Option<Looked> = None;
    for form in Email::known_as(typed) {
        let index = write.blind_index.digest(IndexKind::Email, &form);
        let claim = claims::find(&write.pool, &index).await?;
        match &found {
            None => found = Some(Looked { index, claim }),
            Some(first) if first.claim.is_none() && claim.is_some() => found = Some(Looked { index, claim }),
            Some(_) => {}
        }
    }
    Ok(found.expect("an address has at least one form"))
}
