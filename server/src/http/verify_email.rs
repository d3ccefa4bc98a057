//! The page behind a verification link. Opening it changes nothing, because mail scanners open links; its forms do. A browser that did not
//! sign up is asked for the password of the sign-up, or for a new one (`VerifyEmail`).

use std::sync::Arc;

use atelier_commands::use_cases::VerifyEmail;
use atelier_commands::{CommandError, RefusalCode};
use atelier_domain::Actor;
use atelier_graphql::Caller;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::page::{escape, page};
use super::{Edge, auth, client};

/// What the link carries.
#[derive(Deserialize)]
pub struct Link {
    token: String,
}

/// What a form carries.
#[derive(Deserialize)]
struct Sent {
    token: String,
    password: Option<String>,
    new_password: Option<String>,
}

/// The link of the mail: one button for a browser that signed up or is signed in, else the forms.
pub async fn page_of_link(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    link: Result<Query<Link>, QueryRejection>,
) -> Response {
    let Ok(Query(Link { token })) = link else { return refused("This link is incomplete.") };
    let known = [edge.cookie.sign_up_name(), edge.cookie.name()]
        .iter()
        .any(|name| auth::cookie(&headers, name).is_some_and(|value| !value.is_empty()));
    if known { button(&token) } else { forms(StatusCode::OK, &token, "") }
}

fn button(token: &str) -> Response {
    let body = format!(
        "<p>Press the button to verify your email address.</p><form method=\"post\" action=\"/verify-email\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\"><button>Verify my address</button></form>",
        escape(token)
    );
    page(StatusCode::OK, "Verify your email address", &body)
}

fn forms(status: StatusCode, token: &str, message: &str) -> Response {
    let message =
        if message.is_empty() { String::new() } else { format!("<p><strong>{}</strong></p>", escape(message)) };
    let form = |text: &str, label: &str, name: &str, fill: &str, button: &str| {
        format!(
            "<form method=\"post\" action=\"/verify-email\"><p>{text}</p><input type=\"hidden\" name=\"token\" value=\"{}\">\
             <p><label>{label} <input type=\"password\" name=\"{name}\" autocomplete=\"{fill}\" required></label></p>\
             <button>{button}</button></form>",
            escape(token)
        )
    };
    let with_password = form(
        "Enter the password that you signed up with.",
        "Password",
        "password",
        "current-password",
        "Verify my address",
    );
    let afresh = form(
        "You did not choose that password, or have forgotten it? Set a new one: only it opens the account then.",
        "New password",
        "new_password",
        "new-password",
        "Set my password and verify my address",
    );
    page(status, "Verify your email address", &format!("{message}{with_password}<hr>{afresh}"))
}

/// A form.
pub async fn submit(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let origin = client::origin(&edge, &request);
    let Ok(caller) = auth::caller(&edge, request.headers()).await else { return not_now() };
    let signed_in = match caller {
        Caller::Session { account, .. } => Some(account),
        Caller::Anonymous | Caller::Ended => None,
    };
    let Ok(Form(Sent { token, password, new_password })) = Form::<Sent>::from_request(request, &()).await else {
        return refused("This form is incomplete.");
    };
    let use_case = VerifyEmail { token: token.clone(), password, new_password, signed_in, origin };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let Ok(verified) = edge.finish(async move { use_case.run(&write, &context).await }).await else { return not_now() };
    match verified {
        Ok(_) => {
            let mut done = page(StatusCode::OK, "Your address is verified", "<p>You can go on in the app.</p>");
            if let Ok(cookie) = HeaderValue::from_str(&edge.cookie.clear_sign_up()) {
                done.headers_mut().append(header::SET_COOKIE, cookie);
            }
            done
        }
        // The link still counts: something else beside it will do.
        Err(CommandError::Refused(refusal)) if asks_again(&refusal) => {
            forms(StatusCode::BAD_REQUEST, &token, &refusal.message)
        }
        Err(CommandError::Refused(refusal)) => refused(&refusal.message),
        Err(error) => {
            tracing::error!(%error, "a verification failed");
            not_now()
        }
    }
}

fn asks_again(refusal: &atelier_commands::Refusal) -> bool {
    let field = refusal.field.as_deref();
    matches!(refusal.code, RefusalCode::SignUpProofRequired | RefusalCode::RateLimited)
        || matches!(field, Some("password" | "new_password"))
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong on our side. Try again.</p>")
}

fn refused(message: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not verified", &format!("<p>{}</p>", escape(message)))
}
