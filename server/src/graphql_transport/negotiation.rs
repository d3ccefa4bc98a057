//! Media types: what a body must be, and which of our two an answer becomes (sec.R1, GraphQL-over-HTTP).

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::refusal::{ErrorCode, Refusal};
use crate::header_value::{is_encoded, is_json};

/// The media type of an answer, which decides its status codes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`, for clients that take every other status than 200 for an answer of something in between.
    Json,
    /// `application/graphql-response+json`, where the status says whether the request ran.
    GraphqlResponse,
}

impl MediaType {
    /// The value of the answer's Content-Type.
    pub(super) const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json; charset=utf-8"),
            Self::GraphqlResponse => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
        }
    }

    const fn subtype(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::GraphqlResponse => "graphql-response+json",
        }
    }
}

/// How a request comes, and so what it may ask and where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// In the address: queries only, because a GET can come from a link or an image on any page (sec.R1).
    Get,
    /// In a body.
    Post,
}

/// The channel of a method; a HEAD is a GET whose answer the server sends without its body.
pub(super) fn channel(method: &Method) -> Result<Channel, Refusal> {
    match *method {
        Method::GET | Method::HEAD => Ok(Channel::Get),
        Method::POST => Ok(Channel::Post),
        _ => Err(Refusal::method("GET, HEAD, POST", "GraphQL is asked with POST, queries with GET as well")),
    }
}

/// Refuses every body but `application/json` in UTF-8: a browser sends that across origins only after asking us (sec.R1).
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refusal =
        |message| Err(Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::UnsupportedMediaType, message));
    if !is_json(headers) {
        return refusal("Content-Type must be given once, as application/json, in UTF-8");
    }
    if is_encoded(headers) { refusal("Content-Encoding is not supported") } else { Ok(()) }
}

/// Whether this parameter says `charset=utf-8`, the only one that a range of ours may carry beside `q`.
fn is_utf8(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

/// Picks the media type of the answer: the preferred one of those the client names; JSON when it names neither.
pub(super) fn accepted(headers: &HeaderMap) -> Result<MediaType, Refusal> {
    let refusal = || {
        let message = "we answer application/graphql-response+json and application/json";
        Refusal::http(StatusCode::NOT_ACCEPTABLE, ErrorCode::NotAcceptable, message)
    };
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let value = value.to_str().map_err(|_| refusal())?;
        ranges.extend(value.split(',').map(str::trim).filter(|range| !range.is_empty()));
    }
    if ranges.is_empty() {
        return Ok(MediaType::Json);
    }
    let json = wish(&ranges, MediaType::Json);
    let graphql = wish(&ranges, MediaType::GraphqlResponse);
    match (json.quality > 0, graphql.quality > 0) {
        (false, false) => Err(refusal()),
        (true, false) => Ok(MediaType::Json),
        (false, true) => Ok(MediaType::GraphqlResponse),
        (true, true) if graphql.named && graphql.quality >= json.quality => Ok(MediaType::GraphqlResponse),
        (true, true) => Ok(MediaType::Json),
    }
}

/// How much a client wants one media type.
#[derive(Debug, Clone, Copy, Default)]
struct Wish {
    /// 0 to 1000; 0 is a refusal.
    quality: u16,
    /// Named in full, not only covered by a wildcard.
    named: bool,
}

/// The wish of the most specific range that covers this type.
fn wish(ranges: &[&str], media_type: MediaType) -> Wish {
    let mut best = (0, Wish::default());
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let specificity = match essence.split_once('/') {
            Some(("application", subtype)) if subtype == media_type.subtype() => 3,
            Some(("application", "*")) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let Some(quality) = quality(parts) else { continue };
        if specificity > best.0 {
            best = (specificity, Wish { quality, named: specificity == 3 });
        }
    }
    best.1
}

/// The `q` of a range in thousandths; None when a parameter asks for what we do not speak.
fn quality<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<u16> {
    let mut quality = 1_000;
    for parameter in parameters {
        match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("q") => quality = thousandths(value)?,
            _ if is_utf8(parameter) => {}
            _ => return None,
        }
    }
    Some(quality)
}

/// `0`, `0.5`, `1.000`: digits only, at most three of them after the point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !digits(fraction) {
        return None;
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= 1_000).then_some(thousandths)
}
