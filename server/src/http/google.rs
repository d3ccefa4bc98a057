//! Google's sign-in for browsers: out, back, and on to a frontend or to the small pages of our own (A16, U30, sec.O1).
//!
//! What a return brings is used up by looking at it; that is safe for a GET, because only the browser that left can bring it.

mod start;

use std::sync::Arc;

use atelier_commands::use_cases::{
    Arrival, CompleteSignIn, Entrance, Identified, Newcomer, ReturnFromGoogle, SignUpWithGoogle, SignedIn,
};
use atelier_commands::{CommandError, UseCaseError};
use atelier_domain::Actor;
use atelier_domain::policy::account::{GREATEST_AGE, MINIMUM_AGE};
use axum::Form;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::page::{escape, page};
use super::{DEVICE_COOKIE, Edge, auth, client};

pub use start::start;

/// What Google sends a browser back with.
#[derive(Deserialize)]
struct Brought {
    state: Option<String>,
    code: Option<String>,
    /// Who sends it, where the provider says so (RFC 9207).
    iss: Option<String>,
}

/// What the form of a new account carries.
#[derive(Deserialize)]
struct NewAccount {
    ticket: String,
    username: String,
    minimum_age: i32,
}

/// What the form of the second factor carries.
#[derive(Deserialize)]
struct Code {
    challenge: String,
    code: String,
}

/// Sends the browser on. Neither address may be kept or told to a third: the one holds a state, the other a code.
fn sent_on(address: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(address) else { return not_now() };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Takes the browser back.
pub async fn callback(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let brought = Query::<Brought>::try_from_uri(request.uri());
    let Ok(Query(Brought { state: Some(state), code, iss })) = brought else {
        return refused("Google did not sign you in.");
    };
    let came_with_code = code.is_some();
    if iss.is_some_and(|iss| edge.write.ports.google.as_deref().is_none_or(|google| google.issuer() != iss)) {
        return refused("Somebody else than Google sent you here.");
    }
    let browser = auth::cookie(request.headers(), edge.cookie.browser_name());
    let origin = client::origin(&edge, &request);
    let back = ReturnFromGoogle { state, code, browser, origin };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let Ok(arrival) = edge.finish(async move { back.run(&write, &context).await }).await else { return not_now() };
    let mut response = match arrival {
        Ok(Arrival::Identified(Identified::Known(entrance))) => entered(&edge, &entrance),
        Ok(Arrival::Linked(_)) => go_on(&edge, "Google is linked", "From now on you can sign in with Google."),
        Ok(Arrival::Identified(Identified::LinkFirst)) => {
            let text = "There is an account with this address already. Sign in with your password, then link Google in the settings.";
            go_on(&edge, "Sign in to link Google", text)
        }
        Ok(Arrival::Identified(Identified::New(newcomer))) => new_account(&newcomer),
        Ok(Arrival::Frontend(address)) => sent_on(&address),
        Err(error) => failed(error),
    };
    // Without a code nothing was used up, and the person may go back and sign in after all.
    if came_with_code {
        set_cookie(&mut response, &edge.cookie.clear_browser());
    }
    response
}

/// Opens the account that the form asks for.
pub async fn sign_up(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let origin = client::origin(&edge, &request);
    let Some(NewAccount { ticket, username, minimum_age }) = own_form(&edge, request).await else {
        return refused("This form is incomplete.");
    };
    let use_case = SignUpWithGoogle { ticket, username, minimum_age, origin };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    match edge.finish(async move { use_case.run(&write, &context).await }).await {
        Ok(Ok(entrance)) => entered(&edge, &entrance),
        Ok(Err(error)) => failed(error),
        Err(_) => not_now(),
    }
}

/// Takes the second factor's code.
pub async fn complete(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let origin = client::origin(&edge, &request);
    let Some(Code { challenge, code }) = own_form(&edge, request).await else {
        return refused("This form is incomplete.");
    };
    let use_case = CompleteSignIn { challenge, code, origin };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    match edge.finish(async move { use_case.run(&write, &context).await }).await {
        Ok(Ok(signed_in)) => signed_in_page(&edge, &signed_in),
        Ok(Err(error)) => failed(error),
        Err(_) => not_now(),
    }
}

/// A form that one of our own pages sent: another site's, a listed one too, must not sign a browser in to an account of its choice.
async fn own_form<T: DeserializeOwned>(edge: &Edge, request: Request) -> Option<T> {
    if !edge.origins.own_page(request.headers()) {
        return None;
    }
    Form::<T>::from_request(request, &()).await.ok().map(|Form(form)| form)
}

fn entered(edge: &Edge, entrance: &Entrance) -> Response {
    match entrance {
        Entrance::Open(signed_in) => signed_in_page(edge, signed_in),
        Entrance::CodeNeeded(challenge) => {
            let body = format!(
                "<p>Type the code of your authenticator, or a recovery code.</p>\
                 <form method=\"post\" action=\"/auth/complete\"><input type=\"hidden\" name=\"challenge\" value=\"{}\">\
                 <input name=\"code\" autocomplete=\"one-time-code\" required autofocus> <button>Sign in</button></form>",
                escape(challenge.token.expose())
            );
            page(StatusCode::OK, "One more step", &body)
        }
    }
}

fn signed_in_page(edge: &Edge, signed_in: &SignedIn) -> Response {
    let mut response = go_on(edge, "You are signed in", "");
    let life = signed_in.expires_at - edge.write.now();
    set_cookie(&mut response, &edge.cookie.set(signed_in.token.expose(), life));
    set_cookie(&mut response, &edge.cookie.set_device(&signed_in.device.expose(), DEVICE_COOKIE));
    response
}

fn new_account(newcomer: &Newcomer) -> Response {
    let mail = if newcomer.verified { "" } else { "<p>We will send you a mail to verify your address.</p>" };
    let body = format!(
        "<p>Choose a name to open your account.</p>{mail}<form method=\"post\" action=\"/auth/google/sign-up\">\
         <input type=\"hidden\" name=\"ticket\" value=\"{}\">\
         <p><label>Username <input name=\"username\" required minlength=\"3\" maxlength=\"30\" value=\"{}\" \
         autofocus></label></p>\
         <p><label>Your age, at least <input name=\"minimum_age\" type=\"number\" required min=\"{MINIMUM_AGE}\" max=\"{GREATEST_AGE}\">\
         </label></p><button>Open my account</button></form>",
        escape(&newcomer.ticket),
        escape(newcomer.username.as_deref().unwrap_or_default())
    );
    page(StatusCode::OK, "Welcome to atelier", &body)
}

fn go_on(edge: &Edge, title: &str, text: &str) -> Response {
    let link = escape(&edge.write.page("/"));
    page(StatusCode::OK, title, &format!("<p>{}</p><p><a href=\"{link}\">Go on</a></p>", escape(text)))
}

fn set_cookie(response: &mut Response, cookie: &str) {
    // Tokens of ours and constant attributes: always a header's letters.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn failed(error: UseCaseError) -> Response {
    match error {
        CommandError::Refused(refusal) => {
            let messages: Vec<&str> = refusal.each().map(|one| one.message.as_str()).collect();
            refused(&messages.join(" "))
        }
        error => {
            tracing::warn!(%error, "a sign-in with Google failed");
            not_now()
        }
    }
}

fn refused(message: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not signed in", &format!("<p>{}</p>", escape(message)))
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong. Try again in a minute.</p>")
}
