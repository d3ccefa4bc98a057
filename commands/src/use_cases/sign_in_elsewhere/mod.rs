//! Google's sign-in, out and back: the browser leaves with a state, a nonce and a PKCE challenge that belong to it alone, and what it
//! comes back with is checked against them (A16, U30, sec.O1).
//!
//! It ends in one of two ways. By the server's own pages, the return itself has the effect. For a frontend (of another origin, or an
//! app), the return has none: the browser is sent to a listed address with a one-time code, and the effect comes when the client that
//! began redeems it with its PKCE verifier. A code that an attacker plants in another client is refused there.
//!
//! What happens when the process dies:
//! - before the browser leaves: nothing was kept;
//! - while it is away: its journey is a row, any node takes it back; one that never comes back is removed after ten minutes;
//! - after its return used the journey up, before the code is kept, or before the effect of the server's own pages: Google's code is
//!   spent as well, and the person begins again;
//! - after the code is kept, before the browser gets it: no client has the code, and it is removed after two minutes;
//! - after the code was used up, before its effect: the client gets no answer, a second try says `invalid_token`, and it begins again;
//! - from there on, as the module of each effect says: `open_session`, `link_identity`, `sign_up_with_google`, `reauthenticate`.

mod frontend;
mod leave;
mod redeem;
mod returning;
mod ticket;

use atelier_domain::account::IdentityProvider;
use atelier_domain::text::Email;
use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::{identities, sessions};
use serde::{Deserialize, Serialize};

pub use frontend::{Frontend, ReturnError, invalid_request};
pub use leave::{LeaveForGoogle, Leaving};
pub use redeem::{CompleteGoogleLink, CompleteGoogleSignIn, GoogleProof};
pub use returning::{Arrival, ReturnFromGoogle};
pub(super) use ticket::Ticket;

use super::address_lookup::look_up;
use super::address_proof::proven_by;
use super::complete_sign_in::{Entrance, enter};
use super::open_session::{OpenSession, Proof};
use super::username_availability::suggest;
use crate::command_path::{CommandContext, CommandError};
use crate::origin::Origin;
use crate::ports::{ElsewhereError, ProvenIdentity, SignInElsewhere};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::write_side::WriteSide;

/// Why a browser goes to Google.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// To sign in, or up.
    SignIn,
    /// To link an identity, for the session that asked.
    Link { account: AccountId, session: SessionId },
    /// To prove again who is asking, in the session that asked.
    Reauthenticate { account: AccountId, session: SessionId },
}

/// Whether signing in with Google is set up here.
#[must_use]
pub fn is_offered(write: &WriteSide) -> bool {
    write.ports.google.is_some()
}

/// Google's adapter, or the refusal that says there is none.
pub(super) fn google(write: &WriteSide) -> Result<&dyn SignInElsewhere, UseCaseError> {
    let none = || Refusal::new(RefusalCode::NotPossibleNow, "Signing in with Google is not set up here.");
    write.ports.google.as_deref().ok_or_else(|| none().into())
}

fn refused(error: ElsewhereError) -> UseCaseError {
    tracing::info!(%error, "a sign-in with Google did not come to its end");
    match error {
        ElsewhereError::Unavailable(_) => CommandError::Unavailable,
        ElsewhereError::Refused(_) => not_valid(),
    }
}

/// The one answer to a return or a code that is wrong, used or too late.
fn not_valid() -> UseCaseError {
    Refusal::new(RefusalCode::InvalidToken, "This sign-in is not valid any more; begin again.").into()
}

/// What is kept beside a token, as text.
fn written(value: &impl Serialize) -> Result<String, UseCaseError> {
    serde_json::to_string(value).map_err(|error| CommandError::Internal(error.to_string()))
}

/// Refuses when the session that asked has ended meanwhile.
async fn still_signed_in(write: &WriteSide, account: AccountId, session: SessionId) -> Result<(), UseCaseError> {
    if sessions::counts(&write.pool, account, session, write.now()).await? { Ok(()) } else { Err(not_valid()) }
}

/// Where a proven identity leads.
#[derive(Debug, Clone)]
pub enum Identified {
    /// Into its account: a session, or the challenge of the second factor.
    Known(Entrance),
    /// Nowhere yet: its address belongs to an account, whose owner has to sign in and link it. Accounts are never merged by address,
    /// verified or not (U30).
    LinkFirst,
    /// To a sign-up.
    New(Newcomer),
}

/// A proven identity that belongs to no account, and what a sign-up screen can be filled in with.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// For `signUpWithGoogle`.
    pub ticket: String,
    /// The address that Google tells.
    pub email: Email,
    /// Whether it counts as proven.
    pub verified: bool,
    /// A username made from the address that was free at that moment, if there is one.
    pub username: Option<String>,
}

/// Finds the account of a proven identity and signs in to it, or prepares a sign-up.
async fn let_in(
    write: &WriteSide,
    context: &CommandContext,
    proven: ProvenIdentity,
    origin: Origin,
) -> Result<Identified, UseCaseError> {
    let identity = write.blind_index.identity(google(write)?.issuer(), &proven.subject);
    if let Some(held) = identities::find(&write.pool, IdentityProvider::Google, &identity).await? {
        if !held.active {
            return Err(Refusal::new(RefusalCode::NotPossibleNow, "Try again in a few minutes.").into());
        }
        let opening = OpenSession { account: held.account, proof: Proof::Identity, origin };
        return enter(opening, write, context).await.map(Identified::Known);
    }
    let no_address = || Refusal::new(RefusalCode::NotPossibleNow, "Google did not tell us an address to write to.");
    let email = proven.email.as_deref().and_then(|text| Email::parse(text).ok()).ok_or_else(no_address)?;
    if proven.email_verified && proven_by(write, &look_up(write, email.as_ref()).await?.index).await?.is_some() {
        return Ok(Identified::LinkFirst);
    }
    let ticket = Ticket::new(write, proven.subject, &email, proven.email_verified).sealed(write)?;
    let username = suggest(write, &email).await?;
    Ok(Identified::New(Newcomer { ticket, email, verified: proven.email_verified, username }))
}
