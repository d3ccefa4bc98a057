//! The few small pages the server shows itself: plain HTML, no script, everything escaped.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Text as HTML shows it.
pub fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut html, c| {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
        html
    })
}

/// A page; `body` is HTML.
pub fn page(status: StatusCode, title: &str, body: &str) -> Response {
    page_with(status, title, body, "frame-ancestors 'none'")
}

/// A page with more words to its policy.
pub fn page_with(status: StatusCode, title: &str, body: &str, policy: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}\
         pre{{white-space:pre-wrap;background:#f4f4f4;padding:1rem}}iframe{{width:100%;height:28rem;border:1px solid #ddd}}button{{font:inherit;padding:.5rem 1rem}}</style>\
         <h1>{title}</h1>{body}</html>"
    );
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; {policy}");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        // The address holds a token: it must not leave with a link.
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (status, headers, html).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_is_shown_and_not_run() {
        assert_eq!(super::escape("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
    }
}
