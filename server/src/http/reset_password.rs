//! The page behind a reset link. Opening it changes nothing and uses nothing up, because mail scanners open links; its form does.

use std::sync::Arc;

use atelier_commands::CommandError;
use atelier_commands::use_cases::{CompletePasswordReset, Keep};
use atelier_domain::Actor;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::page::{escape, page};
use super::{DEVICE_COOKIE, Edge};

/// What the link carries.
#[derive(Deserialize)]
pub struct Link {
    token: String,
}

/// What the form carries.
#[derive(Deserialize)]
pub struct NewPassword {
    token: String,
    new_password: String,
    /// A box that is checked; absent otherwise.
    keep_api_keys: Option<String>,
    keep_linked_accounts: Option<String>,
}

fn form(status: StatusCode, token: &str, message: &str) -> Response {
    let body = format!(
        "<p>{}</p><form method=\"post\" action=\"/reset-password\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <p><label>New password <input type=\"password\" name=\"new_password\" autocomplete=\"new-password\" required></label></p>\
         <p><label><input type=\"checkbox\" name=\"keep_api_keys\"> Keep my API keys: otherwise they stop working</label></p>\
         <p><label><input type=\"checkbox\" name=\"keep_linked_accounts\"> Keep linked accounts, such as Google's: otherwise they sign in \
         no more</label></p>\
         <button>Set my password</button></form>",
        escape(message),
        escape(token)
    );
    page(status, "Choose a new password", &body)
}

/// The link of the mail.
pub async fn page_of_link(link: Result<Query<Link>, QueryRejection>) -> Response {
    match link {
        Ok(Query(Link { token })) => form(StatusCode::OK, &token, "Every session of your account ends with it."),
        Err(_) => refused("This link is incomplete."),
    }
}

/// The form.
pub async fn submit(State(edge): State<Arc<Edge>>, sent: Result<Form<NewPassword>, FormRejection>) -> Response {
    let Ok(Form(sent)) = sent else { return refused("This form is incomplete.") };
    let NewPassword { token, new_password, keep_api_keys, keep_linked_accounts } = sent;
    let keep = Keep { api_keys: keep_api_keys.is_some(), identities: keep_linked_accounts.is_some() };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let use_case = CompletePasswordReset { token: token.clone(), new_password, keep };
    let cookie = edge.cookie;
    let Ok(done) = edge.finish(async move { use_case.run(&write, &context).await }).await else { return not_now() };
    match done {
        Ok((_, device)) => {
            let mut done = page(StatusCode::OK, "Your password is changed", "<p>Sign in with it in the app.</p>");
            if let Ok(cookie) = HeaderValue::from_str(&cookie.set_device(&device.expose(), DEVICE_COOKIE)) {
                done.headers_mut().append(header::SET_COOKIE, cookie);
            }
            done
        }
        // The token still counts: another password will do.
        Err(CommandError::Refused(refusal)) if refusal.field.as_deref() == Some("new_password") => {
            form(StatusCode::BAD_REQUEST, &token, &refusal.message)
        }
        Err(CommandError::Refused(refusal)) => refused(&refusal.message),
        Err(error) => {
            tracing::error!(%error, "a password reset failed");
            not_now()
        }
    }
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong on our side. Try again.</p>")
}

fn refused(message: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not changed", &format!("<p>{}</p>", escape(message)))
}
