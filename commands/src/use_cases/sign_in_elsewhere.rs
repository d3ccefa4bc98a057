//! Google's sign-in, out and back: the browser leaves with a state, a nonce and a PKCE challenge that belong to it alone, and what it
//! comes back with is checked against them (A16, U30, sec.O1).
//!
//! What happens when the process dies: a journey whose browser never comes back is removed after ten minutes; one that came back is
//! used up before anything is believed, and its owner begins again.

use atelier_domain::account::{Account, IdentityProvider, Status};
use atelier_domain::text::Email;
use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::sign_ins_elsewhere::{self, Errand};
use atelier_vault::credential_rows::{claims, identities, sessions};
use atelier_vault::{Derived, IdentityDigest, Passing, PassingToken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::account_claims::email_digest;
use super::complete_sign_in::{Entrance, enter};
use super::link_identity::link;
use super::open_session::{OpenSession, Proof};
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::origin::Origin;
use crate::ports::{Departure, ElsewhereError, ProvenIdentity, SignInElsewhere};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// How long a ticket to sign up with counts.
const TICKET_LIFE: chrono::TimeDelta = chrono::TimeDelta::minutes(30);
/// The longest code that is sent on.
const LONGEST_CODE: usize = 2_048;

/// Sends a browser to Google.
#[derive(Debug, Clone, Copy)]
pub struct LeaveForGoogle {
    errand: Errand,
}

/// A browser about to leave.
pub struct Leaving {
    /// Where to.
    pub url: String,
    /// For its cookie: who comes back without it is somebody else.
    pub browser: PassingToken,
}

/// Google's adapter, or the refusal that says there is none.
fn google(write: &WriteSide) -> Result<&dyn SignInElsewhere, UseCaseError> {
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

/// The one answer to whatever is wrong with a return.
fn not_valid() -> UseCaseError {
    Refusal::new(RefusalCode::InvalidToken, "This sign-in is not valid any more; begin again.").into()
}

impl LeaveForGoogle {
    /// How long a browser may be away.
    pub const LIFE: chrono::TimeDelta = sign_ins_elsewhere::LIFE;

    /// To sign in, or up.
    #[must_use]
    pub const fn to_sign_in() -> Self {
        Self { errand: Errand::SignIn }
    }

    /// To link an identity; the caller has seen a fresh proof of who asks (sec.S7).
    #[must_use]
    pub const fn to_link(account: AccountId, session: SessionId) -> Self {
        Self { errand: Errand::Link { account, session } }
    }

    /// Runs the use case.
    ///
    /// # Errors
    /// `not_possible_now` when Google is not set up; `rate_limited`; unavailable when it cannot be reached, or too many browsers are
    /// away.
    pub async fn run(self, write: &WriteSide, origin: &Origin) -> Result<Leaving, UseCaseError> {
        let google = google(write)?;
        let of_client = Bucket::of_client(write, Rule::LeaveFromClient, origin.client.as_ref());
        // It stays counted: there is nothing that could be right about it.
        let _ = throttle::count(write, of_client.into_iter().collect(), None).await?;
        let browser = PassingToken::generate(Passing::Browser, write.ports.random.as_ref());
        let [state, nonce, verifier] =
            [Derived::State, Derived::Nonce, Derived::Verifier].map(|what| write.secrets.derived(&browser, what));
        let departure = Departure { state: &state, nonce: &nonce, verifier: &verifier };
        let url = google.authorization_url(departure).await.map_err(refused)?;
        let (state, digest) = (write.secrets.state(&state), write.secrets.passing(&browser));
        if !sign_ins_elsewhere::insert(&write.pool, &state, &digest, self.errand, write.now()).await? {
            return Err(CommandError::Unavailable);
        }
        Ok(Leaving { url, browser })
    }
}

/// Takes a browser that came back from Google.
#[derive(Clone)]
pub struct ReturnFromGoogle {
    /// The state it brings.
    pub state: String,
    /// The code it brings.
    pub code: String,
    /// Its cookie.
    pub browser: Option<String>,
    /// From where.
    pub origin: Origin,
}

/// What a return leads to.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// A known identity: a session, or the challenge of the second factor.
    Known(Entrance),
    /// The identity signs in to the account that asked for it.
    Linked(Position),
    /// Nobody's identity, and its address belongs to an account: its owner signs in and links it. Accounts are never merged by an
    /// address, verified or not (U30).
    LinkFirst,
    /// Nobody's identity: a ticket to sign up with.
    New {
        /// For `signUpWithGoogle`.
        ticket: String,
        /// Whether the address counts as proven.
        verified: bool,
    },
}

impl ReturnFromGoogle {
    /// Runs the use case.
    ///
    /// # Errors
    /// `invalid_token` for whatever is wrong with the return, in the same words; `not_possible_now` for an identity that is somebody
    /// else's, or just changing hands.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Arrival, UseCaseError> {
        let google = google(write)?;
        let browser = self.browser.as_deref().and_then(|text| PassingToken::parse(Passing::Browser, text).ok());
        let browser = browser.ok_or_else(not_valid)?;
        let (by_state, by_browser) = (write.secrets.state(&self.state), write.secrets.passing(&browser));
        let errand = sign_ins_elsewhere::consume(&write.pool, &by_state, &by_browser, write.now()).await?;
        let errand = errand.ok_or_else(not_valid)?;
        if self.code.is_empty() || self.code.len() > LONGEST_CODE {
            return Err(not_valid());
        }
        let [nonce, verifier] = [Derived::Nonce, Derived::Verifier].map(|what| write.secrets.derived(&browser, what));
        let departure = Departure { state: &self.state, nonce: &nonce, verifier: &verifier };
        let proven = google.identify(&self.code, departure).await.map_err(refused)?;
        let identity = write.blind_index.identity(google.issuer(), &proven.subject);
        match errand {
            Errand::SignIn => arrive(write, context, &identity, proven, self.origin).await,
            Errand::Link { account, session } => {
                still_signed_in(write, account, session).await?;
                link(write, context, account, identity, &proven).await.map(Arrival::Linked)
            }
        }
    }
}

/// Whether the session that asked for a link still counts: whoever ended it meanwhile meant this too.
async fn still_signed_in(write: &WriteSide, account: AccountId, session: SessionId) -> Result<(), UseCaseError> {
    if sessions::counts(&write.pool, account, session, write.now()).await? { Ok(()) } else { Err(not_valid()) }
}

async fn arrive(
    write: &WriteSide,
    context: &CommandContext,
    identity: &IdentityDigest,
    proven: ProvenIdentity,
    origin: Origin,
) -> Result<Arrival, UseCaseError> {
    if let Some(held) = identities::find(&write.pool, IdentityProvider::Google, identity).await? {
        if !held.active {
            return Err(Refusal::new(RefusalCode::NotPossibleNow, "Try again in a few minutes.").into());
        }
        let opening = OpenSession { account: held.account, proof: Proof::Identity, origin };
        return enter(opening, write, context).await.map(Arrival::Known);
    }
    let no_address = || Refusal::new(RefusalCode::NotPossibleNow, "Google did not tell us an address to write to.");
    let email = proven.email.as_deref().and_then(|text| Email::parse(text).ok()).ok_or_else(no_address)?;
    if proven.email_verified && owner(write, &email).await?.is_some() {
        return Ok(Arrival::LinkFirst);
    }
    let ticket = Ticket {
        subject: proven.subject,
        email: email.as_ref().to_owned(),
        verified: proven.email_verified,
        expires_at: write.now() + TICKET_LIFE,
    };
    let text = serde_json::to_string(&ticket).map_err(|error| CommandError::Internal(error.to_string()))?;
    let ticket = write.secrets.seal_ticket(write.ports.random.as_ref(), &text);
    Ok(Arrival::New { ticket, verified: proven.email_verified })
}

/// The open account an address belongs to.
async fn owner(write: &WriteSide, email: &Email) -> Result<Option<AccountId>, UseCaseError> {
    let Some(claim) = claims::find(&write.pool, &email_digest(write, email)).await? else { return Ok(None) };
    let loaded = write.path.load::<Account>(&claim.account.to_string()).await;
    let open = loaded.map_err(|error| error.map(Refusal::from))?.state.status() == Status::Open;
    Ok(open.then_some(claim.account))
}

/// What a browser carries from its return to its sign-up, sealed: who Google says it is. Used up by the identity that it claims.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) subject: String,
    pub(super) email: String,
    pub(super) verified: bool,
    expires_at: DateTime<Utc>,
}

impl Ticket {
    /// A ticket of ours that still counts, with the identity it is for.
    pub(super) fn open(write: &WriteSide, ticket: &str) -> Result<(Self, IdentityDigest), UseCaseError> {
        let google = google(write)?;
        let text = write.secrets.open_ticket(ticket).ok_or_else(not_valid)?;
        let ticket: Self = serde_json::from_str(&text).map_err(|_| not_valid())?;
        if ticket.expires_at <= write.now() {
            return Err(not_valid());
        }
        let identity = write.blind_index.identity(google.issuer(), &ticket.subject);
        Ok((ticket, identity))
    }
}
