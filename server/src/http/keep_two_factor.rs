//! The page behind the link that keeps a second factor on (U36). Opening it changes nothing, because mail scanners open links; its
//! button does.

use std::sync::Arc;

use atelier_commands::CommandError;
use atelier_commands::use_cases::KeepTwoFactor;
use atelier_domain::Actor;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Edge;
use super::page::{escape, page};

/// What the link and its form carry.
#[derive(Deserialize)]
pub struct Token {
    token: String,
}

/// Shows the button.
fn page_with_button(token: &str) -> Response {
    let body = format!(
        "<p>Press the button to keep two-factor sign-in on.</p><form method=\"post\" action=\"/keep-two-factor\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\"><button>Keep it on</button></form>",
        escape(token)
    );
    page(StatusCode::OK, "Keep two-factor sign-in on", &body)
}

/// The link of the mail.
pub async fn page_of_link(link: Result<Query<Token>, QueryRejection>) -> Response {
    match link {
        Ok(Query(Token { token })) => page_with_button(&token),
        Err(_) => refused("This link is incomplete."),
    }
}

/// The button.
pub async fn submit(State(edge): State<Arc<Edge>>, form: Result<Form<Token>, FormRejection>) -> Response {
    let Ok(Form(Token { token })) = form else { return refused("This form is incomplete.") };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let kept = edge.finish(async move { (KeepTwoFactor::ByLink { token }).run(&write, &context).await }).await;
    let Ok(kept) = kept else { return not_now() };
    match kept {
        Ok(_) => page(StatusCode::OK, "It stays on", "<p>Nobody turns it off.</p>"),
        Err(CommandError::Refused(refusal)) => refused(&refusal.message),
        Err(error) => {
            tracing::error!(%error, "a second factor could not be kept on");
            not_now()
        }
    }
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong on our side. Try again.</p>")
}

fn refused(message: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not possible", &format!("<p>{}</p>", escape(message)))
}
