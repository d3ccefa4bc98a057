//! `requestPasswordReset`: a mail with a link for a new password (A14). The same answer and the same work whether or not the address
//! is anybody's (sec.S4): what is asked for is a look-up, and it carries the address's keyed digest alone.
//!
//! What happens when the process dies: before the work is enqueued, nothing was promised; after it, the mail comes.

use atelier_domain::text::Email;

use super::address_lookup::look_up;
use crate::command_path::CommandError;
use crate::origin::Origin;
use crate::process::{AddressDigest, Work, enqueue};
use crate::refusal::{RefusalCode, UseCaseError, in_field};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// Asks for a reset mail.
#[derive(Clone)]
pub struct RequestPasswordReset {
    /// The address.
    pub email: String,
    /// From where.
    pub origin: Origin,
}

impl RequestPasswordReset {
    /// Runs the use case. At most one mail a minute leaves, however often it is asked for.
    ///
    /// # Errors
    /// `invalid_field` for what is no address; `rate_limited` for a client that asks for too many.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        let email = in_field("email", Email::parse(&self.email))?;
        if let Some(address) = may_mail(write, Rule::ResetToAddress, &email, &self.origin).await? {
            let id = format!("resetPassword:{}", write.fresh_id());
            enqueue(&write.pool, &id, &Work::StartPasswordReset { address }).await?;
        }
        Ok(())
    }
}

/// Whether a mail to an address may be asked for, by this client and so soon; too soon is not told.
pub(super) async fn may_mail(
    write: &WriteSide,
    rule: Rule,
    email: &Email,
    origin: &Origin,
) -> Result<Option<AddressDigest>, UseCaseError> {
    let of_client = Bucket::of_client(write, Rule::MailFromClient, origin.client.as_ref());
    let _counted = throttle::count(write, of_client.into_iter().collect(), None).await?;
    let digest = look_up(write, email.as_ref()).await?.index;
    match throttle::count(write, vec![Bucket::of(write, rule, &[&digest.digest])], None).await {
        Ok(_counted) => Ok(Some(AddressDigest::of(&digest))),
        Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::RateLimited => Ok(None),
        Err(error) => Err(error),
    }
}
