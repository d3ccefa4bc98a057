//! Why a request is refused before it runs, and the closed list of codes this transport gives.

use async_graphql::Pos;
use axum::http::StatusCode;

/// More errors of a validator than this are not listed.
pub(super) const MAX_ERRORS: usize = 20;

/// The codes this transport puts into `extensions.code`; resolvers add those of their own closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The HTTP request is not one of GraphQL-over-HTTP.
    BadRequest,
    /// A method that this request cannot come by.
    MethodNotAllowed,
    /// Another content type than `application/json`.
    UnsupportedMediaType,
    /// The client accepts none of our media types.
    NotAcceptable,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The address of a GET is longer than allowed.
    UriTooLong,
    /// Only the hash of a document was sent, and none is kept; Apollo's link then sends the document.
    PersistedQueryNotSupported,
    /// The document is not GraphQL.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// A variable or argument has a value its type does not allow.
    BadInput,
    /// One of [`Limits`](super::Limits).
    LimitExceeded,
    /// The database did not answer; it passes by itself.
    Unavailable,
    /// A fault of ours; the cause is logged under the trace id, never sent (sec.R6).
    Internal,
}

impl ErrorCode {
    /// The code as it stands in `extensions.code`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UriTooLong => "URI_TOO_LONG",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::BadInput => "BAD_INPUT",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A request that will not run.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) locations: Vec<Pos>,
    /// The status of a malformed HTTP request. None: the request was well-formed and what it asks cannot run, so the
    /// status depends on the media type of the answer.
    pub(super) status: Option<StatusCode>,
    /// What else is wrong, in the same way.
    pub(super) more: Vec<Refusal>,
    /// The methods of a 405's `Allow`.
    pub(super) allow: Option<&'static str>,
}

impl Refusal {
    /// Of a malformed HTTP request.
    pub(super) fn http(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            locations: Vec::new(),
            status: Some(status),
            more: Vec::new(),
            allow: None,
        }
    }

    /// Of a body that is not a GraphQL request.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::http(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    /// Of a method that this request cannot come by; `allow` says which it can.
    pub(super) fn method(allow: &'static str, message: &'static str) -> Self {
        let refusal = Self::http(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, message);
        Self { allow: Some(allow), ..refusal }
    }

    /// Of a well-formed request whose document or variables cannot run.
    pub(super) fn document(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), locations: Vec::new(), status: None, more: Vec::new(), allow: None }
    }

    /// Of a well-formed request over one of the limits.
    pub(super) fn limit(what: &str, limit: usize) -> Self {
        Self::document(ErrorCode::LimitExceeded, format!("the limit is {limit} {what}"))
    }

    /// The same, pointing into the document.
    pub(super) fn at(mut self, locations: impl IntoIterator<Item = Pos>) -> Self {
        self.locations.extend(locations);
        self
    }

    /// The same, with another thing wrong of the same code.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.more.push(other);
        self
    }
}

/// A name the client sent, short enough to be said back.
pub(super) fn shown(name: &str) -> String {
    const SHOWN: usize = 60;
    if name.chars().count() <= SHOWN { name.to_owned() } else { name.chars().take(SHOWN).chain(['…']).collect() }
}
