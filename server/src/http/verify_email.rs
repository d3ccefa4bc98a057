//! The page behind a verification link. Opening it changes nothing, because mail scanners open links; its button does.

use std::sync::Arc;

use atelier_commands::CommandError;
use atelier_commands::use_cases::VerifyEmail;
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
pub async fn page_with_button(token: &str) -> Response {
    let body = format!(
        "<p>Press the button to verify your email address.</p><form method=\"post\" action=\"/verify-email\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\"><button>Verify my address</button></form>",
        escape(token)
    );
    page(StatusCode::OK, "Verify your email address", &body)
}

/// The link of the mail.
pub async fn page_of_link(link: Result<Query<Token>, QueryRejection>) -> Response {
    match link {
        Ok(Query(Token { token })) => page_with_button(&token).await,
        Err(_) => refused("This link is incomplete."),
    }
}

/// The button.
pub async fn submit(State(edge): State<Arc<Edge>>, form: Result<Form<Token>, FormRejection>) -> Response {
    let Ok(Form(Token { token })) = form else { return refused("This form is incomplete.") };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let verified = edge.finish(async move { (VerifyEmail { token }).run(&write, &context).await }).await;
    let Ok(verified) = verified else { return not_now() };
    match verified {
        Ok(_) => page(StatusCode::OK, "Your address is verified", "<p>You can go on in the app.</p>"),
        Err(CommandError::Refused(refusal)) => refused(&refusal.message),
        Err(error) => {
            tracing::error!(%error, "a verification failed");
            not_now()
        }
    }
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong on our side. Try again.</p>")
}

fn refused(message: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not verified", &format!("<p>{}</p>", escape(message)))
}
