//! The development mailbox as a page: what the studio would have mailed.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::Edge;
use super::page::{escape, page};

/// The most mails on the page.
const SHOWN: usize = 100;

/// The list, newest first.
pub async fn list(State(edge): State<Arc<Edge>>) -> Response {
    let Some(mailbox) = &edge.mailbox else { return nothing() };
    let Ok(mails) = mailbox.list(SHOWN).await else { return nothing() };
    let rows: String = mails
        .iter()
        .map(|mail| {
            let (file, to, subject) = (escape(&mail.file), escape(&mail.to), escape(&mail.subject));
            format!(
                "<li>{} <a href=\"/mailbox/{file}\">{subject}</a> to {to}</li>",
                mail.date.format("%Y-%m-%d %H:%M:%S")
            )
        })
        .collect();
    let body = if rows.is_empty() { "<p>No mails yet.</p>".to_owned() } else { format!("<ul>{rows}</ul>") };
    page(StatusCode::OK, "Mailbox", &body)
}

/// One mail.
pub async fn show(State(edge): State<Arc<Edge>>, Path(file): Path<String>) -> Response {
    let Some(mailbox) = &edge.mailbox else { return nothing() };
    let Ok(Some(mail)) = mailbox.read(&file).await else { return nothing() };
    let text: Vec<String> = mail.text.lines().map(linked).collect();
    page(StatusCode::OK, &mail.subject, &format!("<p>To {}</p><pre>{}</pre>", escape(&mail.to), text.join("\n")))
}

/// A line of a mail; one that is an address can be clicked.
fn linked(line: &str) -> String {
    let html = escape(line);
    if line.starts_with("http://") || line.starts_with("https://") {
        format!("<a href=\"{html}\">{html}</a>")
    } else {
        html
    }
}

fn nothing() -> Response {
    page(StatusCode::NOT_FOUND, "Mailbox", "<p>There is no such mail.</p>")
}
