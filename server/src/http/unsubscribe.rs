//! The link that ends mails of a kind. Opening it changes nothing, because mail scanners open links; its button does, and so does a
//! mail program's one click, which is the same POST (RFC 8058). It takes no sign-in and sets no cookie.

use std::sync::Arc;

use atelier_commands::CommandError;
use atelier_commands::use_cases::{Unsubscribe, Unsubscribed};
use atelier_domain::Actor;
use atelier_domain::account::NoticeKind;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Edge;
use super::page::{escape, page};

/// What the link carries.
#[derive(Deserialize)]
pub struct Token {
    token: String,
}

/// What a person calls the mails of a kind.
const fn mails(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::GenerationComplete => "mails about finished generations",
        NoticeKind::LowCreditAlert => "mails about a low balance",
        NoticeKind::BillingReceipts => "receipts by mail",
        NoticeKind::Newsletter => "newsletters",
        NoticeKind::Marketing => "offers by mail",
    }
}

/// The link of the mail.
pub async fn page_of_link(State(edge): State<Arc<Edge>>, link: Result<Query<Token>, QueryRejection>) -> Response {
    let Ok(Query(Token { token })) = link else { return refused() };
    let Ok(kind) = (Unsubscribe { token: token.clone() }).kind(&edge.write) else { return refused() };
    let body = format!(
        "<p>Press the button to get no more {}. You can change it in the settings of the app at any time.</p>\
         <form method=\"post\" action=\"/unsubscribe?token={}\"><button>No more of them</button></form>",
        mails(kind),
        escape(&token)
    );
    page(StatusCode::OK, "No more of these mails?", &body)
}

/// The button, and the one click; what the body says does not matter.
pub async fn submit(State(edge): State<Arc<Edge>>, link: Result<Query<Token>, QueryRejection>) -> Response {
    let Ok(Query(Token { token })) = link else { return refused() };
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::Anonymous));
    let ended = edge.finish(async move { (Unsubscribe { token }).run(&write, &context).await }).await;
    match ended {
        Ok(Ok(Unsubscribed { kind })) => {
            let body = format!("<p>You will get no more {}.</p>", mails(kind));
            page(StatusCode::OK, "Done", &body)
        }
        Ok(Err(CommandError::Refused(_))) => refused(),
        Ok(Err(error)) => {
            tracing::error!(%error, "a link to unsubscribe failed");
            not_now()
        }
        Err(_) => not_now(),
    }
}

fn not_now() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Not now", "<p>Something went wrong on our side. Try again.</p>")
}

fn refused() -> Response {
    page(StatusCode::BAD_REQUEST, "Not a link of ours", "<p>This link is incomplete, or not one of ours.</p>")
}
