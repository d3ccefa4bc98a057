//! Sending a browser to Google, and the address that begins it for a client whose browser has no session of ours.

use atelier_domain::{AccountId, SessionId};
use atelier_vault::credential_rows::sign_ins_elsewhere::{self, Errand, Journey};
use atelier_vault::{Derived, Passing, PassingToken, Ticket};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Frontend, Purpose, google, not_valid, refused, written};
use crate::command_path::CommandError;
use crate::origin::Origin;
use crate::ports::{Departure, Interaction};
use crate::refusal::UseCaseError;
use crate::throttle::{self, Bucket, Rule};
use crate::write_side::WriteSide;

/// Sends a browser to Google.
#[derive(Debug, Clone)]
pub struct LeaveForGoogle {
    purpose: Purpose,
    frontend: Option<Frontend>,
}

/// A browser about to leave.
pub struct Leaving {
    /// Where to.
    pub url: String,
    /// For its cookie: a browser that returns without it is not the one that left.
    pub browser: PassingToken,
}

/// What is kept for the return of a frontend's browser, sealed for its token.
#[derive(Serialize, Deserialize)]
pub(super) struct Carried {
    pub(super) purpose: Purpose,
    pub(super) frontend: Frontend,
    pub(super) left_at: DateTime<Utc>,
}

/// What the address that begins a journey carries, sealed. It may be opened more than once until it expires: the code that comes of it
/// is worth nothing without the verifier of the client that asked for the address.
#[derive(Serialize, Deserialize)]
struct Begun {
    purpose: Purpose,
    frontend: Frontend,
    expires_at: DateTime<Utc>,
}

impl LeaveForGoogle {
    /// How long a browser may be away.
    pub const LIFE: chrono::TimeDelta = sign_ins_elsewhere::LIFE;

    /// To sign in, or up, by the server's own pages.
    #[must_use]
    pub const fn to_sign_in() -> Self {
        Self { purpose: Purpose::SignIn, frontend: None }
    }

    /// To sign in, or up, for a frontend.
    #[must_use]
    pub const fn to_sign_in_for(frontend: Frontend) -> Self {
        Self { purpose: Purpose::SignIn, frontend: Some(frontend) }
    }

    /// To link an identity, by the server's own pages; the caller has checked that the account's proof is fresh (sec.S7).
    #[must_use]
    pub const fn to_link(account: AccountId, session: SessionId) -> Self {
        Self { purpose: Purpose::Link { account, session }, frontend: None }
    }

    /// The address where a browser begins to link an identity for a frontend; the caller has checked that the account's proof is fresh (sec.S7).
    ///
    /// # Errors
    /// `not_possible_now` when Google is not set up.
    pub fn address_to_link(
        write: &WriteSide,
        (account, session): (AccountId, SessionId),
        frontend: Frontend,
    ) -> Result<String, UseCaseError> {
        address(write, Purpose::Link { account, session }, frontend)
    }

    /// The address where a browser begins to prove for a frontend who is asking.
    ///
    /// # Errors
    /// `not_possible_now` when Google is not set up.
    pub fn address_to_reauthenticate(
        write: &WriteSide,
        (account, session): (AccountId, SessionId),
        frontend: Frontend,
    ) -> Result<String, UseCaseError> {
        address(write, Purpose::Reauthenticate { account, session }, frontend)
    }

    /// What an address begins that [`Self::address_to_link`] or [`Self::address_to_reauthenticate`] gave out.
    ///
    /// # Errors
    /// `invalid_token` when it is none of ours, or too old.
    pub fn begun(write: &WriteSide, journey: &str) -> Result<Self, UseCaseError> {
        let text = write.secrets.open_ticket(Ticket::Journey, journey).ok_or_else(not_valid)?;
        let begun: Begun = serde_json::from_str(&text).map_err(|_| not_valid())?;
        if begun.expires_at <= write.now() {
            return Err(not_valid());
        }
        Ok(Self { purpose: begun.purpose, frontend: Some(begun.frontend) })
    }

    /// The frontend it is for, if it is for one: who is told of a failure.
    #[must_use]
    pub const fn frontend(&self) -> Option<&Frontend> {
        self.frontend.as_ref()
    }

    /// How Google is to receive the browser.
    fn interaction(&self) -> Interaction {
        match self.purpose {
            Purpose::Reauthenticate { .. } => Interaction::SignInAgain,
            // Another app may have taken the scheme: the person sees that a sign-in goes on (RFC 8252 8.6).
            Purpose::SignIn | Purpose::Link { .. } if self.frontend.as_ref().is_some_and(Frontend::is_app) => {
                Interaction::Shown
            }
            Purpose::SignIn | Purpose::Link { .. } => Interaction::AsItLikes,
        }
    }

    /// Runs the use case.
    ///
    /// # Errors
    /// `not_possible_now` when Google is not set up; `rate_limited`; unavailable when it cannot be reached, or too many browsers are
    /// away.
    pub async fn run(self, write: &WriteSide, origin: &Origin) -> Result<Leaving, UseCaseError> {
        let google = google(write)?;
        let of_client = Bucket::of_client(write, Rule::LeaveFromClient, origin.client.as_ref());
        // Every departure counts; none is taken back.
        let _ = throttle::count(write, of_client.into_iter().collect(), None).await?;
        let browser = PassingToken::generate(Passing::Browser, write.ports.random.as_ref());
        let [state, nonce, verifier] =
            [Derived::State, Derived::Nonce, Derived::Verifier].map(|what| write.secrets.derived(&browser, what));
        let departure = Departure { state: &state, nonce: &nonce, verifier: &verifier };
        let url = google.authorization_url(departure, self.interaction()).await.map_err(refused)?;
        let (state, digest) = (write.secrets.state(&state), write.secrets.passing(&browser));
        let journey = self.journey(write, &browser)?;
        if !sign_ins_elsewhere::insert(&write.pool, &state, &digest, &journey, write.now()).await? {
            return Err(CommandError::Unavailable);
        }
        Ok(Leaving { url, browser })
    }

    /// The row of the journey. A frontend's says nothing in the clear.
    fn journey(self, write: &WriteSide, browser: &PassingToken) -> Result<Journey, UseCaseError> {
        let Self { purpose, frontend } = self;
        if let Some(frontend) = frontend {
            let carried = written(&Carried { purpose, frontend, left_at: write.now() })?;
            let carried = write.secrets.seal_for(browser, write.ports.random.as_ref(), &carried);
            return Ok(Journey { errand: Errand::SignIn, carried: Some(carried) });
        }
        match purpose {
            Purpose::SignIn => Ok(Journey { errand: Errand::SignIn, carried: None }),
            Purpose::Link { account, session } => {
                Ok(Journey { errand: Errand::Link { account, session }, carried: None })
            }
            Purpose::Reauthenticate { .. } => Err(CommandError::Internal("a proof needs a frontend".into())),
        }
    }
}

/// An address of this server that begins a journey in whatever browser opens it, within the time a browser may be away.
fn address(write: &WriteSide, purpose: Purpose, frontend: Frontend) -> Result<String, UseCaseError> {
    google(write)?;
    let begun = Begun { purpose, frontend, expires_at: write.now() + LeaveForGoogle::LIFE };
    let journey = write.secrets.seal_ticket(Ticket::Journey, write.ports.random.as_ref(), &written(&begun)?);
    Ok(format!("{}/auth/google/start?journey={journey}", write.public_url))
}
