//! Error bodies: one shape for all of REST, and the documented 401 to the byte (B10, C22, REQUIREMENTS 3.4.5).

use std::borrow::Cow;

use atelier_commands::refusal::{Shortage, SpentBudget};
use atelier_commands::security_log;
use atelier_commands::{CommandError, Refusal, RefusalCode, UseCaseError};
use atelier_domain::credit_ledger::CapPeriod;
use atelier_domain::{GenerationId, Invalid, Reason};
use atelier_graphql::global_id::GlobalId;
use atelier_projections::ReadError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The documented 401, to the byte (B10-B14).
pub const INVALID_API_KEY: &str =
    r#"{"success":false,"error":"invalid_api_key","message":"The API key provided is not valid."}"#;

/// The code of an answer that a read model cannot give for this account alone.
const QUARANTINED: &str = "account_unavailable";

/// The code of an answer about a generation that was removed.
const GONE: &str = "gone";

/// An error of the REST API: `success:false, error, message`, and additive fields.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    error: &'static str,
    message: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

/// What a REST handler fails with.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with a code of the documented list.
    pub fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), more: Map::new(), retry_after: None }
    }

    /// The key is missing, malformed, unknown, revoked, expired or foreign; which of them is not said.
    pub fn invalid_api_key() -> Self {
        security_log::refused("api_key_refused", "credentials");
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "The API key provided is not valid.")
    }

    /// There is no such thing, or it is not the caller's.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such thing here.")
    }

    /// There was such a generation, and its owner has removed it.
    pub fn gone(generation: GenerationId) -> Self {
        let id = GlobalId::Generation(generation).text();
        Self::new(StatusCode::GONE, GONE, "This generation was deleted.").with("request_id", id)
    }

    /// Whether it says that a generation was removed.
    pub fn is_gone(&self) -> bool {
        self.error == GONE
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Something that passes by itself.
    pub fn unavailable(error: &'static str, message: &str) -> Self {
        let mut answer = Self::new(StatusCode::SERVICE_UNAVAILABLE, error, message).with("retryable", true);
        answer.retry_after = Some(1);
        answer
    }

    /// Whether only a read model lacks this account: then commands go on without the answer.
    pub fn is_quarantine(&self) -> bool {
        self.error == QUARANTINED
    }

    /// Too much for now; more in so many seconds (sec.R5).
    pub fn too_many(message: &str, wait: u64) -> Self {
        security_log::refused("throttled", "requests");
        let mut answer = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message);
        answer.retry_after = Some(wait);
        answer
    }

    /// A fault on our side; the cause is logged, never sent.
    pub fn internal(cause: &str) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.error == "invalid_api_key" {
            let challenge = (header::WWW_AUTHENTICATE, "Bearer");
            return (self.status, [(header::CONTENT_TYPE, "application/json"), challenge], INVALID_API_KEY)
                .into_response();
        }
        let mut body = json!({ "success": false, "error": self.error, "message": self.message });
        if let Some(object) = body.as_object_mut() {
            object.extend(self.more);
        }
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<UseCaseError> for ApiError {
    fn from(error: UseCaseError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Conflict => Self::unavailable("conflict", "Too many commands at the same moment; try again."),
            CommandError::KeyReused => {
                let message = "The idempotency key was used before for another request.";
                Self::new(StatusCode::CONFLICT, RefusalCode::IdempotencyConflict.as_str(), message)
            }
            CommandError::Unavailable => {
                Self::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
            }
            CommandError::OutcomeUnknown => {
                let message = "The outcome is unknown; ask again with the same Idempotency-Key.";
                Self::unavailable("outcome_unknown", message)
            }
            CommandError::Erased => Self::invalid_api_key(),
            CommandError::Internal(cause) => Self::internal(&cause),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = status(refusal.code);
        let mut answer = Self::new(status, error(&refusal), message(&refusal));
        if let Some(wait) = refusal.retry_after {
            answer.retry_after = Some(u64::try_from(wait.num_seconds()).unwrap_or(0).max(1));
        }
        if let Some(field) = field(&refusal) {
            answer = answer.with("field", field);
        }
        // Every wrong field of the request; the first one stands in the members above, as it always did.
        if status == StatusCode::BAD_REQUEST && refusal.value.is_some() {
            let errors: Vec<Value> = refusal.each().map(wrong_field).collect();
            answer = answer.with("errors", errors);
        }
        match refusal.shortage.as_deref() {
            Some(Shortage::Balance { required, available }) => {
                answer.with("required", required.get()).with("available", available.get())
            }
            Some(Shortage::Budget(SpentBudget { period, cap, spent, required })) => {
                let period = match period {
                    CapPeriod::Day => "day",
                    CapPeriod::Life => "life",
                };
                let answer = answer.with("period", period).with("cap", cap.get());
                answer.with("spent", spent.get()).with("required", required.get())
            }
            None => answer,
        }
    }
}

const fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::InvalidField | RefusalCode::InvalidToken => StatusCode::BAD_REQUEST,
        RefusalCode::UsernameTaken
        | RefusalCode::AlreadyEnded
        | RefusalCode::StillRunning
        | RefusalCode::NotPossibleNow
        | RefusalCode::NoPassword
        | RefusalCode::LinkRequired
        | RefusalCode::IdempotencyConflict => StatusCode::CONFLICT,
        RefusalCode::InvalidCredentials | RefusalCode::ReauthenticationRequired => StatusCode::UNAUTHORIZED,
        RefusalCode::SignUpProofRequired
        | RefusalCode::EmailNotVerified
        | RefusalCode::PlanRequired
        | RefusalCode::Forbidden
        | RefusalCode::TwoFactorRequired
        | RefusalCode::InvalidCode => StatusCode::FORBIDDEN,
        RefusalCode::InsufficientCredits | RefusalCode::TooExpensive | RefusalCode::KeyBudgetExceeded => {
            StatusCode::PAYMENT_REQUIRED
        }
        RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::ModelUnavailable | RefusalCode::InvalidImage => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalCode::LimitReached | RefusalCode::RateLimited | RefusalCode::ConcurrencyLimit => {
            StatusCode::TOO_MANY_REQUESTS
        }
    }
}

/// The code, as the documentation has it: what is missing has one of its own.
fn error(refusal: &Refusal) -> &'static str {
    let missing = refusal.value.as_deref().is_some_and(|value| value.reason == Reason::Required);
    if missing && refusal.code == RefusalCode::InvalidField { "missing_field" } else { refusal.code.as_str() }
}

/// The field, as a request names it: the idempotency key is a header.
fn field(refusal: &Refusal) -> Option<Cow<'static, str>> {
    refusal.field.clone().map(|field| if field == "idempotency_key" { "Idempotency-Key".into() } else { field })
}

/// The sentence. A developer reads it beside the request, so a wrong value's begins with the field's name.
fn message(refusal: &Refusal) -> String {
    match (&refusal.value, field(refusal)) {
        (Some(value), Some(field)) if refusal.code == RefusalCode::InvalidField => format!("{field} {value}."),
        _ => refusal.message.clone(),
    }
}

fn wrong_field(refusal: &Refusal) -> Value {
    let value = refusal.value.as_deref();
    json!({
        "error": error(refusal),
        "field": field(refusal),
        "message": message(refusal),
        "reason": value.map(|value| value.reason.as_str()),
        "min": value.and_then(|value| value.min),
        "max": value.and_then(|value| value.max),
    })
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::BadCursor(_) => {
                Refusal::value("cursor", Invalid::new(Reason::Format, "is not one of this list")).into()
            }
            ReadError::PositionUnknown => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_field", "The position is not one of this log.")
            }
            ReadError::Stale { .. } => Self::unavailable("stale_read", "The answer is not ready yet; try again."),
            ReadError::Quarantined(_) => Self::unavailable(QUARANTINED, "This part of the account is being repaired."),
            ReadError::Database(cause) => {
                tracing::error!(%cause, "a read failed");
                Self::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
            }
            ReadError::Rows(cause) => cause.into(),
            ReadError::Vault(cause) => Self::internal(&cause),
            ReadError::NotAsked(model) => Self::internal(&format!("{model} was not asked for")),
        }
    }
}

impl From<atelier_vault::credential_rows::RowError> for ApiError {
    fn from(error: atelier_vault::credential_rows::RowError) -> Self {
        // Never taken for a "no": a key is not invalid because the database did not answer (sec.R6).
        tracing::error!(%error, "a credential row could not be read");
        Self::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
    }
}

/// There is no such route.
pub async fn not_found() -> ApiError {
    ApiError::not_found()
}

/// The route exists, the method does not.
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This method is not allowed here.")
}
