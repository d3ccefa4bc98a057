//! The development mailbox as a page: what the studio would have mailed.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use atelier_gateways::MailText;

use super::Edge;
use super::page::{escape, page, page_with};

/// What a mail's HTML may do: be looked at, and have its links followed in a window of their own.
const FRAMED: [(HeaderName, &str); 4] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

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

/// One mail: its text, and its HTML in a frame of its own.
pub async fn show(State(edge): State<Arc<Edge>>, Path(file): Path<String>) -> Response {
    let Some(mailbox) = &edge.mailbox else { return nothing() };
    let Ok(Some(mail)) = mailbox.read(&file).await else { return nothing() };
    let text: Vec<String> = mail.text.lines().map(linked).collect();
    let frame = mail.html.map(|_| format!("<iframe title=\"HTML\" src=\"/mailbox/{}/html\"></iframe>", escape(&file)));
    let body = format!("<p>To {}</p><pre>{}</pre>{}", escape(&mail.to), text.join("\n"), frame.unwrap_or_default());
    page_with(StatusCode::OK, &mail.subject, &body, "frame-src 'self'; frame-ancestors 'none'")
}

/// The HTML half of a mail, as a mail program shows it: nothing is run or fetched, and links open beside it.
pub async fn html(State(edge): State<Arc<Edge>>, Path(file): Path<String>) -> Response {
    let Some(mailbox) = &edge.mailbox else { return nothing() };
    let Ok(Some(MailText { html: Some(html), .. })) = mailbox.read(&file).await else { return nothing() };
    let html = html.replacen("<head>", "<head><base target=\"_blank\">", 1);
    (StatusCode::OK, FRAMED, html).into_response()
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
