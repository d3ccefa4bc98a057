//! Taking a browser back from Google.

use atelier_domain::text::Email;
use atelier_vault::credential_rows::sign_in_codes;
use atelier_vault::credential_rows::sign_ins_elsewhere::{self, Errand};
use atelier_vault::{Derived, Passing, PassingToken};
use chrono::{DateTime, TimeDelta, Utc};

use super::leave::Carried;
use super::redeem::Kept;
use super::{Identified, Purpose, ReturnError, google, let_in, not_valid, refused, still_signed_in, written};
use crate::command_path::{CommandContext, CommandError};
use crate::event_store::Position;
use crate::origin::Origin;
use crate::ports::{Departure, ProvenIdentity};
use crate::refusal::{Refusal, RefusalCode, UseCaseError};
use crate::use_cases::within_session::link_identity;
use crate::write_side::WriteSide;

/// The longest code that is sent on, in bytes.
const LONGEST_CODE: usize = 2_048;
/// The longest name of a person at a provider, in bytes (OpenID Connect Core 2).
const LONGEST_SUBJECT: usize = 255;
/// How much earlier than by our clock a sign-in there may be by the provider's.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// Takes a browser that came back from Google.
#[derive(Clone)]
pub struct ReturnFromGoogle {
    /// The state it brings.
    pub state: String,
    /// The code it brings; none when Google did not sign the person in.
    pub code: Option<String>,
    /// Its cookie.
    pub browser: Option<String>,
    /// From where.
    pub origin: Origin,
}

/// What a return leads to.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// For the server's own pages: the identity is proven, and this is where it leads.
    Identified(Identified),
    /// For the server's own pages: the identity is linked to the account that asked for it.
    Linked(Position),
    /// The browser goes on to its frontend, with a code or an error in this address.
    Frontend(String),
}

impl ReturnFromGoogle {
    /// Runs the use case.
    ///
    /// # Errors
    /// For the server's own pages, and for a return that is no journey's: `invalid_token` for whatever is wrong with it, in the same
    /// words; `not_possible_now` for an identity that is linked to another account, or is just being linked or unlinked. For a
    /// frontend's journey the answer is [`Arrival::Frontend`] with the error in its address instead.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Arrival, UseCaseError> {
        google(write)?;
        let browser = self.browser.as_deref().and_then(|text| PassingToken::parse(Passing::Browser, text).ok());
        let browser = browser.ok_or_else(not_valid)?;
        let (by_state, by_browser) = (write.secrets.state(&self.state), write.secrets.passing(&browser));
        let Some(code) = self.code.clone() else {
            // Nothing was proven, so nothing is used up: the person may go back there and sign in after all.
            let journey = sign_ins_elsewhere::find(&write.pool, &by_state, &by_browser, write.now()).await?;
            let carried = journey.and_then(|journey| opened(write, &browser, journey.carried.as_deref()?));
            let no = || Refusal::new(RefusalCode::InvalidToken, "Google did not sign you in.");
            let carried = carried.ok_or_else(no)?;
            return Ok(Arrival::Frontend(carried.frontend.with_error(ReturnError::AccessDenied)));
        };
        let journey = sign_ins_elsewhere::consume(&write.pool, &by_state, &by_browser, write.now()).await?;
        let journey = journey.ok_or_else(not_valid)?;
        if let Some(carried) = journey.carried {
            let carried = opened(write, &browser, &carried).ok_or_else(not_valid)?;
            let frontend = carried.frontend.clone();
            return Ok(Arrival::Frontend(match self.to_frontend(write, &browser, &code, carried).await {
                Ok(address) => address,
                Err(error) => frontend.with_error(ReturnError::of(&error)),
            }));
        }
        let proven = self.proven(write, &browser, &code).await?;
        match journey.errand {
            Errand::SignIn => let_in(write, context, proven, self.origin).await.map(Arrival::Identified),
            Errand::Link { account, session } => {
                still_signed_in(write, account, session).await?;
                link_identity(write, context, (account, session), &proven).await.map(Arrival::Linked)
            }
        }
    }

    /// Who it is that Google signed in.
    async fn proven(
        &self,
        write: &WriteSide,
        browser: &PassingToken,
        code: &str,
    ) -> Result<ProvenIdentity, UseCaseError> {
        if code.is_empty() || code.len() > LONGEST_CODE {
            return Err(not_valid());
        }
        let [nonce, verifier] = [Derived::Nonce, Derived::Verifier].map(|what| write.secrets.derived(browser, what));
        let departure = Departure { state: &self.state, nonce: &nonce, verifier: &verifier };
        let proven = google(write)?.identify(code, departure).await.map_err(refused)?;
        if proven.subject.len() > LONGEST_SUBJECT {
            return Err(not_valid());
        }
        Ok(proven)
    }

    /// Keeps who was proven under a one-time code, and says where the browser goes with it.
    async fn to_frontend(
        &self,
        write: &WriteSide,
        browser: &PassingToken,
        code: &str,
        carried: Carried,
    ) -> Result<String, UseCaseError> {
        let Carried { purpose, frontend, left_at } = carried;
        let mut proven = self.proven(write, browser, code).await?;
        if matches!(purpose, Purpose::Reauthenticate { .. }) && !signed_in_again(&proven, left_at) {
            return Err(not_valid());
        }
        // The row is bounded: an address that we could not use may have any length.
        proven.email = proven.email.filter(|email| Email::parse(email).is_ok());
        let (random, now) = (write.ports.random.as_ref(), write.now());
        let code = PassingToken::generate(Passing::Code, random);
        let kept = written(&Kept { purpose, challenge: frontend.challenge().to_owned(), proven })?;
        let sealed = write.secrets.seal_for(&code, random, &kept);
        if !sign_in_codes::insert(&write.pool, &write.secrets.passing(&code), &sealed, now).await? {
            return Err(CommandError::Unavailable);
        }
        Ok(frontend.with_code(code.expose()))
    }
}

/// What was kept for a browser's return.
fn opened(write: &WriteSide, browser: &PassingToken, carried: &str) -> Option<Carried> {
    serde_json::from_str(&write.secrets.open_for(browser, carried)?).ok()
}

/// Whether the person signed in at the provider after the browser left, as we asked it to have them do. A provider that sends no
/// `auth_time` is believed: Google sends it to few clients.
fn signed_in_again(proven: &ProvenIdentity, left_at: DateTime<Utc>) -> bool {
    proven.authenticated_at.is_none_or(|at| at + CLOCKS_DIFFER >= left_at)
}
