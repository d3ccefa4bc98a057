//! `resendVerification`: another mail with a fresh link (U26). The same answer and the same work whether the address is unknown,
//! verified or waits for its link (sec.S4): what is asked for is a look-up, and it carries the address's keyed digest alone.
//!
//! What happens when the process dies: before the work is enqueued, nothing was promised; after it, the mail comes.

use atelier_domain::text::Email;

use super::request_password_reset::may_mail;
use crate::origin::Origin;
use crate::process::{SignUpDigest, Work, enqueue};
use crate::refusal::{UseCaseError, in_field};
use crate::throttle::Rule;
use crate::write_side::WriteSide;

/// Sends the verification mail again.
#[derive(Clone)]
pub struct ResendVerification {
    /// The address.
    pub email: String,
    /// From where; with what `signUp` returned, its own link is sent, and the newest sign-up's otherwise.
    pub origin: Origin,
}

impl ResendVerification {
    /// Runs the use case. At most one mail a minute leaves, however often it is asked for; a verified address gets none.
    ///
    /// # Errors
    /// `invalid_field` for what is no address; `rate_limited` for a client that asks for too many.
    pub async fn run(self, write: &WriteSide) -> Result<(), UseCaseError> {
        let email = in_field("email", Email::parse(&self.email))?;
        if let Some(address) = may_mail(write, Rule::VerificationToAddress, &email, &self.origin).await? {
            let id = format!("resendVerification:{}", write.fresh_id());
            let sign_up =
                self.origin.sign_up_token.as_ref().map(|token| SignUpDigest::of(&write.secrets.passing(token)));
            enqueue(&write.pool, &id, &Work::ResendVerification { address, sign_up }).await?;
        }
        Ok(())
    }
}
