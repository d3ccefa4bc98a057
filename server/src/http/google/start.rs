//! Sending a browser to Google: for the server's own pages, or for a frontend that asks as OAuth clients do.
//!
//! | asked for | answered |
//! | --- | --- |
//! | nothing | 303 to Google; the return ends on the server's own pages |
//! | `redirect_uri`, `code_challenge`, `code_challenge_method=S256`, perhaps `state` | 303 to Google; the return ends at `redirect_uri` |
//! | `journey`, from `linkGoogle` or `startGoogleReauthentication` | the same, for the session that asked |
//! | a `redirect_uri` that is not listed, a parameter twice, a `journey` that does not count | 400, a page; no redirect |
//! | a listed `redirect_uri`, and anything else that is wrong | 303 to it, with `error` and `state` |

use std::sync::Arc;

use atelier_commands::use_cases::sign_in_elsewhere::invalid_request;
use atelier_commands::use_cases::{Frontend, LeaveForGoogle, ReturnError};
use axum::extract::{Query, Request, State};
use axum::response::Response;
use serde::Deserialize;

use super::super::{Edge, client};
use super::{failed, refused, sent_on, set_cookie};

/// What a browser is sent here with. Other parameters, as OAuth clients add them, are ignored; one of these twice is refused.
#[derive(Deserialize)]
struct Asked {
    redirect_uri: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    state: Option<String>,
    journey: Option<String>,
}

/// Sends the browser to Google, with the cookie it must come back with.
pub async fn start(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let leave = match asked(&edge, &request) {
        Ok(leave) => leave,
        Err(answer) => return *answer,
    };
    let frontend = leave.frontend().cloned();
    match leave.run(&edge.write, &client::origin(&edge, &request)).await {
        Ok(leaving) => {
            let mut response = sent_on(&leaving.url);
            set_cookie(&mut response, &edge.cookie.set_browser(leaving.browser.expose(), LeaveForGoogle::LIFE));
            response
        }
        Err(error) => match frontend {
            Some(frontend) => sent_on(&frontend.with_error(ReturnError::of(&error))),
            None => failed(error),
        },
    }
}

/// What is asked for, or the answer that says what is wrong with it.
fn asked(edge: &Edge, request: &Request) -> Result<LeaveForGoogle, Box<Response>> {
    let wrong = |message: &str| Box::new(refused(message));
    let Ok(Query(asked)) = Query::<Asked>::try_from_uri(request.uri()) else {
        return Err(wrong("A parameter is there twice, or is no text."));
    };
    let Asked { redirect_uri, code_challenge, code_challenge_method, state, journey } = asked;
    let others = code_challenge.is_some() || code_challenge_method.is_some() || state.is_some();
    match (journey, redirect_uri) {
        (None, None) if !others => Ok(LeaveForGoogle::to_sign_in()),
        (Some(journey), None) if !others => {
            LeaveForGoogle::begun(&edge.write, &journey).map_err(|error| Box::new(failed(error)))
        }
        (None, Some(redirect_uri)) => {
            let Some(address) = edge.write.access.return_addresses.find(&redirect_uri) else {
                return Err(wrong("This redirect_uri is not an address that this server is told of."));
            };
            // RFC 7636 takes a missing method for `plain`, where the challenge is the verifier: anyone who sees the address could redeem.
            let challenge = code_challenge.filter(|_| code_challenge_method.as_deref() == Some("S256"));
            Frontend::at(address.clone(), challenge.as_deref().unwrap_or_default(), state.as_deref())
                .map(LeaveForGoogle::to_sign_in_for)
                .map_err(|_| Box::new(sent_on(&invalid_request(&address, state.as_deref()))))
        }
        _ => {
            Err(wrong("These parameters do not go together: redirect_uri is missing, or there is a journey beside it."))
        }
    }
}
