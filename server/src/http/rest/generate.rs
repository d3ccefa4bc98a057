//! `POST /v1/generate`, as the seed documents it, and `POST /v1/generations`, the same job without the wait (B09, B20, C12).

use std::sync::Arc;
use std::time::Duration;

use atelier_commands::process::place_in_queue;
use atelier_commands::use_cases::{Accepted, RequestGeneration};
use atelier_commands::{Refusal, UseCaseError};
use atelier_domain::account::KeyScope;
use atelier_domain::credit_ledger::CreditLedger;
use atelier_domain::generation::{Generation, Status};
use atelier_domain::{Actor, GenerationId, Invalid, LedgerId, Reason};
use atelier_graphql::global_id::GlobalId;
use atelier_projections::ReadError;
use atelier_projections::models::creations::{self, CreationView};
use atelier_projections::models::credit_balance;
use atelier_vault::credential_rows::api_keys::AuthenticatedApiKey;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::body::{self, Fields};
use super::job;
use crate::http::Edge;
use crate::http::answer::{ApiError, ApiResult};
use crate::http::key_gate::{Visit, Visitor};
use crate::http::prefer::Wait;

/// How long `/v1/generate` waits for the job, when the client does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// How often a waiting request looks for itself; this node's own progress wakes it sooner.
const LOOK: Duration = Duration::from_millis(250);

/// How often a place in the queue is looked for, and how long in between: a job that was accepted a moment ago is on its way to the list.
const LOOKS: usize = 20;
const BETWEEN: Duration = Duration::from_millis(10);

const FIELDS: &[&str] = &["prompt", "model", "width", "height", "num_images", "seed", "max_credits", "publish"];

/// What the address may say.
#[derive(Deserialize, Default)]
pub struct Options {
    #[serde(default)]
    dry_run: bool,
}

/// Requests a generation and waits for it.
pub async fn generate(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    options: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
    content: Body,
) -> ApiResult<Response> {
    visit.may(KeyScope::Generate)?;
    let Query(options) =
        options.map_err(|_| Refusal::value("dry_run", Invalid::new(Reason::Type, "must be true or false")))?;
    let wait = Wait::of(&headers);
    let request = read(&visit, &headers, content, idempotency_key(&headers)).await?;
    if options.dry_run {
        let price = request.rehearse(&edge.write).await?;
        return Ok(Json(json!({ "success": true, "dry_run": true, "credits": price.get() })).into_response());
    }
    let accepted = accept(&edge, &visit, request).await?;
    if accepted.deleted {
        return Err(ApiError::gone(accepted.generation));
    }
    let deadline = Instant::now() + wait.map_or(DEFAULT_WAIT, Wait::duration);
    let mut response = match settled(&edge, &visit.key, &accepted, deadline).await? {
        End::Seen(found, position) => done(&edge, &visit, &accepted, &found, &position).await?,
        End::Deleted => return Err(ApiError::gone(accepted.generation)),
        End::Cancelled => return Err(cancelled(accepted.generation)),
        End::NotYet => waiting(&edge, &visit, &accepted).await?,
    };
    response.headers_mut().extend(wait.map(Wait::applied));
    Ok(response)
}

/// Requests a generation and does not wait for it.
pub async fn submit(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    headers: HeaderMap,
    content: Body,
) -> ApiResult<Response> {
    visit.may(KeyScope::Generate)?;
    // C13: the key is required here, and optional on /v1/generate.
    let key = idempotency_key(&headers).and_then(|key| {
        let missing = || Invalid::new(Reason::Required, "is a header that is required");
        key.map(Some).ok_or_else(|| Refusal::value("idempotency_key", missing()))
    });
    let request = read(&visit, &headers, content, key).await?;
    let accepted = accept(&edge, &visit, request).await?;
    if accepted.deleted {
        return Err(ApiError::gone(accepted.generation));
    }
    waiting(&edge, &visit, &accepted).await
}

async fn accept(edge: &Edge, visit: &Visit, request: RequestGeneration) -> ApiResult<Accepted> {
    let (write, context) = (edge.write.clone(), edge.write.request_context(Actor::ApiKey(visit.key.key)));
    let accepted = edge.finish(async move { request.run(&write, &context).await }).await?;
    let accepted = accepted.inspect_err(|error| visit.refused(error))?;
    if let Some(places) = accepted.places {
        visit.counted(places, edge.write.now());
    }
    Ok(accepted)
}

async fn read(
    visit: &Visit,
    headers: &HeaderMap,
    content: Body,
    key: Result<Option<String>, Refusal>,
) -> ApiResult<RequestGeneration> {
    body::require_json(headers)?;
    let object = body::object(content).await?;
    let mut fields = Fields::of(&object, FIELDS);
    let max_credits: Option<u32> = fields.number("max_credits");
    let (key, malformed) = match key {
        Ok(key) => (key, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let request = RequestGeneration {
        account: visit.key.account,
        environment: visit.key.environment,
        api_key: Some(visit.calling()),
        prompt: fields.required_string("prompt"),
        model: fields.required_string("model"),
        width: fields.number("width"),
        height: fields.number("height"),
        num_images: fields.number("num_images"),
        seed: fields.number("seed"),
        max_credits: max_credits.map(i64::from),
        publish: fields.bool("publish"),
        idempotency_key: key,
    };
    match fields.refused(malformed) {
        None => Ok(request),
        // What the values are is told with what their types are; a field keeps its first refusal.
        Some(refusal) => Err(match request.price() {
            Ok(_) => refusal,
            Err(other) => refusal.and(other),
        }
        .into()),
    }
}

/// The client's key, if it sent one.
pub(in crate::http) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let wrong = || {
        let says = "must be one value of 1 to 200 characters of A-Z a-z 0-9 . _ : -";
        Refusal::value("idempotency_key", Invalid::new(Reason::Format, says))
    };
    text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
}

/// How a wait ends.
enum End {
    /// The job has ended and its hold with it, as it stands in a snapshot at this position.
    Seen(Box<CreationView>, String),
    /// Its owner has removed it meanwhile, here or on another node.
    Deleted,
    /// It was withdrawn meanwhile, or its account is being deleted. Nothing is charged, whether its credits are back yet or not.
    Cancelled,
    /// The time is over, or the node stops.
    NotYet,
}

/// Waits until the job has ended and its hold with it, was withdrawn or removed, or until the deadline or the node's stop.
async fn settled(edge: &Edge, key: &AuthenticatedApiKey, accepted: &Accepted, deadline: Instant) -> ApiResult<End> {
    // Settled in this one model means that its position includes the capture; the balance is read at that position below.
    let models = [creations::NAME];
    loop {
        let look = deadline.min(Instant::now() + LOOK);
        let change = edge.read.changed(&models, look);
        tokio::pin!(change);
        // The change is listened for before the look, so that none is missed in between.
        let mut snapshot = edge.read.snapshot(&models, None).await?;
        let position = snapshot.position();
        let found = match creations::find(&mut snapshot, accepted.generation, Some(key.account)).await {
            // It is accepted and goes on; only what it looks like cannot be said here.
            Err(ReadError::Quarantined(_)) => return Ok(End::NotYet),
            found => found?,
        };
        drop(snapshot);
        match found.filter(|job| job.account == key.account) {
            Some(found) if found.settled => return Ok(End::Seen(Box::new(found), position)),
            Some(found) if found.status == Status::Cancelled => return Ok(End::Cancelled),
            Some(_) => {}
            // Not there yet, or not there any more: the log knows.
            None => {
                let job = present(edge, accepted.generation).await?;
                if job.deleted() {
                    return Ok(End::Deleted);
                }
                if job.status() == Status::Cancelled {
                    return Ok(End::Cancelled);
                }
            }
        }
        if Instant::now() >= deadline || edge.stopping.is_cancelled() {
            return Ok(End::NotYet);
        }
        tokio::select! {
            () = &mut change => {}
            () = edge.stopping.cancelled() => {}
        }
    }
}

async fn done(
    edge: &Edge,
    visit: &Visit,
    accepted: &Accepted,
    found: &CreationView,
    position: &str,
) -> ApiResult<Response> {
    match found.status {
        Status::Succeeded => {}
        Status::Cancelled => return Err(cancelled(found.generation)),
        Status::New | Status::Abandoned | Status::Queued | Status::Running | Status::Failed => {
            let message = "The model did not deliver; nothing was charged. Ask again, with a new Idempotency-Key.";
            let reason = found.failure.map(atelier_domain::generation::FailureReason::as_str);
            // Not marked as retryable: the same key would show the same failed job again.
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message);
            return Err(error.with("request_id", job::request_id(found)).with("reason", reason));
        }
    }
    let mut snapshot = edge.read.snapshot(&[credit_balance::NAME], Some(position)).await?;
    let ledger = LedgerId { account: visit.key.account, environment: visit.key.environment };
    let balance = match credit_balance::of(&mut snapshot, ledger, edge.write.now()).await {
        Err(ReadError::Quarantined(_)) => None,
        balance => Some(balance?),
    };
    let body = json!({
        "success": true,
        "images": job::images(&edge.write, found),
        "request_id": job::request_id(found),
        "credits_used": found.captured.map(atelier_domain::Credits::get),
        "seed": found.seed,
    });
    let mut response = Json(body).into_response();
    if let Some(balance) = balance {
        visit.remaining(balance.available);
    }
    let headers = response.headers_mut();
    if let Ok(position) = HeaderValue::from_str(position) {
        headers.insert("atelier-position", position);
    }
    mark_repeat(headers, accepted.repeated);
    Ok(response)
}

/// The answer about a job that was withdrawn.
fn cancelled(generation: GenerationId) -> ApiError {
    let error = ApiError::new(StatusCode::CONFLICT, "cancelled", "The generation was cancelled; nothing was charged.");
    error.with("request_id", GlobalId::Generation(generation).text())
}

/// The job as the log has it now.
async fn present(edge: &Edge, generation: GenerationId) -> ApiResult<Generation> {
    let loaded = edge.write.path.load::<Generation>(&generation.to_string()).await;
    Ok(loaded.map_err(|error| UseCaseError::from(error.map(Refusal::from)))?.state)
}

/// A job's place in the queue, as answers show it: 1 is the next. Null when it does not wait, or when nobody knows just now.
pub(super) async fn queue_position(edge: &Edge, generation: GenerationId, status: Status) -> Option<i64> {
    if status != Status::Queued {
        return None;
    }
    for _ in 0..LOOKS {
        match place_in_queue(&edge.write.pool, generation).await {
            Ok(None) => tokio::time::sleep(BETWEEN).await,
            Ok(place) => return place,
            Err(error) => {
                tracing::warn!(%error, "a place in the queue could not be counted");
                return None;
            }
        }
    }
    None
}

/// 202: accepted, at work; where to look, and how to withdraw (REQUIREMENTS 3.4.2).
async fn waiting(edge: &Edge, visit: &Visit, accepted: &Accepted) -> ApiResult<Response> {
    let ledger = LedgerId { account: visit.key.account, environment: visit.key.environment };
    let loaded = edge.write.path.load::<CreditLedger>(&ledger.to_string()).await;
    // The job is accepted whatever comes of this look.
    if let Ok(loaded) = loaded {
        visit.remaining(loaded.state.available(edge.write.now()));
    }
    // As it is by now: the wait may have seen it begin. Its acceptance stands whatever comes of this look.
    let status = present(edge, accepted.generation).await.map_or(accepted.status, |job| job.status());
    let id = GlobalId::Generation(accepted.generation).text();
    let status_url = format!("{}/v1/generations/{id}", edge.write.public_url);
    let body = json!({
        "success": true,
        "request_id": id,
        "status": status.as_str(),
        "queue_position": queue_position(edge, accepted.generation, status).await,
        "status_url": status_url,
        "cancel_url": format!("{status_url}/cancel"),
        "credits_reserved": accepted.price.get(),
    });
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::from_str(&status_url) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Ok(position) = HeaderValue::from_str(&edge.read.token(accepted.position)) {
        response.headers_mut().insert("atelier-position", position);
    }
    mark_repeat(response.headers_mut(), accepted.repeated);
    Ok(response)
}

/// A replay is marked by a header (L04).
pub(super) fn mark_repeat(headers: &mut HeaderMap, repeated: bool) {
    if repeated {
        headers.insert("idempotency-hit", HeaderValue::from_static("true"));
    }
}
