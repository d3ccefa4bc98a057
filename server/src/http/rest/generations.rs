//! `GET /v1/generations`, `GET /v1/generations/{id}`, `POST /v1/generations/{id}/cancel`, `DELETE /v1/generations/{id}`.

use std::sync::Arc;

use atelier_commands::refusal::together;
use atelier_commands::use_cases::{CancelGeneration, DeleteGeneration};
use atelier_commands::{Refusal, UseCaseError};
use atelier_domain::account::KeyScope;
use atelier_domain::generation::{Generation, Status};
use atelier_domain::{Actor, GenerationId, Invalid, Reason};
use atelier_graphql::global_id::GlobalId;
use atelier_projections::models::creations::{self, CreationFilter, CreationView};
use atelier_vault::credential_rows::api_keys::AuthenticatedApiKey;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::{body, generate, job};
use crate::http::Edge;
use crate::http::answer::{ApiError, ApiResult};
use crate::http::key_gate::Visitor;

/// A key's own job, not older than a position; another account's or environment's is reported as missing.
async fn own(
    edge: &Edge,
    key: &AuthenticatedApiKey,
    id: GenerationId,
    min_position: Option<&str>,
) -> ApiResult<CreationView> {
    let look = async |min_position: Option<&str>| {
        let mut snapshot = edge.read.snapshot(&[creations::NAME], min_position).await?;
        let found = creations::find(&mut snapshot, id, Some(key.account)).await?;
        Ok::<_, ApiError>(found.filter(|job| job.account == key.account && job.environment == key.environment))
    };
    if let Some(found) = look(min_position).await? {
        return Ok(found);
    }
    // A client may follow the link of its 202 before the read models are there: nothing is missing that the log has.
    let head = edge.write.path.store().head().await.map_err(|error| {
        tracing::error!(%error, "the head of the log could not be read");
        ApiError::unavailable("temporarily_unavailable", "Temporarily unavailable; try again later.")
    })?;
    match look(Some(&edge.read.token(head))).await? {
        Some(found) => Ok(found),
        None => Err(missing(edge, key, id).await?),
    }
}

/// Why a job is not in the read models: its owner has removed it (U06), or it is none of the key's.
async fn missing(edge: &Edge, key: &AuthenticatedApiKey, id: GenerationId) -> ApiResult<ApiError> {
    let loaded = edge.write.path.load::<Generation>(&id.to_string()).await;
    let state = loaded.map_err(|error| UseCaseError::from(error.map(Refusal::from)))?.state;
    let own =
        state.terms().is_some_and(|terms| (terms.account_id, terms.environment) == (key.account, key.environment));
    Ok(if own && state.deleted() { ApiError::gone(id) } else { ApiError::not_found() })
}

/// Whether a key may command a job. While only the read model lacks the account, the log says whose the job is.
async fn may_command(edge: &Edge, key: &AuthenticatedApiKey, id: GenerationId) -> ApiResult<()> {
    match own(edge, key, id, None).await {
        Err(error) if error.is_quarantine() => {}
        seen => return seen.map(drop),
    }
    let loaded = edge.write.path.load::<Generation>(&id.to_string()).await;
    let state = loaded.map_err(|error| UseCaseError::from(error.map(Refusal::from)))?.state;
    let terms = state.terms().filter(|terms| (terms.account_id, terms.environment) == (key.account, key.environment));
    terms.map(drop).ok_or_else(ApiError::not_found)
}

/// The job that a path names; looked at after the key, so that the answer tells nothing to those without one.
fn parse(id: Result<Path<String>, PathRejection>) -> ApiResult<GenerationId> {
    id.ok().and_then(|Path(id)| GlobalId::generation(&id)).ok_or_else(ApiError::not_found)
}

/// The most jobs of one page, and how many it has when nothing is said.
const PAGE: std::ops::RangeInclusive<usize> = 1..=100;
const USUAL_PAGE: usize = 20;

/// The parameters of a list, as they came.
pub type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// A parameter's one value.
fn parameter<'q>(parameters: &'q [(String, String)], name: &'static str) -> Result<Option<&'q str>, Refusal> {
    let mut values = parameters.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::value(name, Invalid::new(Reason::Duplicate, "must be given once")));
    }
    Ok(first)
}

/// Reads the length of a page.
fn limit(word: Option<&str>) -> Result<usize, Refusal> {
    let read = word.map_or(Some(USUAL_PAGE), |word| word.parse().ok());
    read.filter(|limit| PAGE.contains(limit))
        .ok_or_else(|| Refusal::value("limit", Invalid::bounds(Reason::OutOfRange, &(1..=100), "must be 1 to 100")))
}

/// The words that `status` may be.
const STATUSES: [Status; 5] = [Status::Queued, Status::Running, Status::Succeeded, Status::Failed, Status::Cancelled];

/// Reads the filter.
fn status(word: &str) -> Result<Status, Refusal> {
    STATUSES.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
        let says = format!("must be one of {}", STATUSES.map(Status::as_str).join(", "));
        Refusal::value("status", Invalid::new(Reason::Unknown, says))
    })
}

/// The key's account's jobs, newest first.
pub async fn list(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    parameters: Parameters,
) -> ApiResult<Json<Value>> {
    visit.may(KeyScope::GenerationsRead)?;
    let key = &visit.key;
    // Any text is a list of pairs.
    let Query(parameters) = parameters.unwrap_or_default();
    let given = |name| parameter(&parameters, name);
    let (limit, status, cursor) = together((
        given("limit").and_then(limit),
        given("status").and_then(|word| word.map(status).transpose()),
        given("cursor"),
    ))?;
    let filter = CreationFilter { media_type: None, status };
    let mut snapshot = edge.read.snapshot(&[creations::NAME], None).await?;
    let page = creations::page(&mut snapshot, key.account, key.environment, filter, limit, cursor).await?;
    let next = page.has_next.then(|| page.items.last().map(|(cursor, _)| cursor.clone())).flatten();
    let shown: Vec<Value> = page.items.iter().map(|(_, found)| job::show(&edge.write, found)).collect();
    Ok(Json(json!({ "success": true, "generations": shown, "next_cursor": next })))
}

/// One job.
pub async fn find(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    id: Result<Path<String>, PathRejection>,
) -> ApiResult<Json<Value>> {
    visit.may(KeyScope::GenerationsRead)?;
    let found = own(&edge, &visit.key, parse(id)?, None).await?;
    let mut shown = job::show(&edge.write, &found);
    shown["queue_position"] = json!(generate::queue_position(&edge, found.generation, found.status).await);
    Ok(Json(shown))
}

/// Withdraws a job before delivery.
pub async fn cancel(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> ApiResult<Response> {
    visit.may(KeyScope::GenerationsWrite)?;
    body::require_json(&headers)?;
    let key = &visit.key;
    let generation = parse(id)?;
    let idempotency_key = generate::idempotency_key(&headers)?;
    let context = edge.write.request_context(Actor::ApiKey(key.key));
    may_command(&edge, key, generation).await?;
    let (write, account) = (edge.write.clone(), key.account);
    let use_case = CancelGeneration { account, generation: Ok(generation), idempotency_key };
    let cancelled = edge.finish(async move { use_case.run(&write, &context).await }).await??;
    let shown = match own(&edge, key, generation, Some(&edge.read.token(cancelled.position))).await {
        // It is withdrawn; only the rest of it cannot be said here.
        Err(error) if error.is_quarantine() => {
            let id = GlobalId::Generation(generation).text();
            json!({ "success": true, "request_id": id, "status": Status::Cancelled.as_str() })
        }
        found => job::show(&edge.write, &found?),
    };
    let mut response = Json(shown).into_response();
    generate::mark_repeat(response.headers_mut(), cancelled.repeated);
    Ok(response)
}

/// Removes a finished job.
pub async fn delete(
    State(edge): State<Arc<Edge>>,
    Extension(visit): Visitor,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> ApiResult<Response> {
    visit.may(KeyScope::GenerationsWrite)?;
    let key = &visit.key;
    let generation = parse(id)?;
    let idempotency_key = generate::idempotency_key(&headers)?;
    let may = may_command(&edge, key, generation).await;
    // Gone already: then the use case knows whether this is the request that removed it.
    if may.as_ref().is_err_and(|error| idempotency_key.is_none() || !error.is_gone()) {
        may?;
        return Err(ApiError::not_found());
    }
    let context = edge.write.request_context(Actor::ApiKey(key.key));
    let (write, account) = (edge.write.clone(), key.account);
    let use_case = DeleteGeneration { account, generation: Ok(generation), idempotency_key };
    let deleted = edge.finish(async move { use_case.run(&write, &context).await }).await??;
    if !deleted.repeated {
        may?;
    }
    // Gone for the very next call. Were the read models late, it would be done all the same.
    if let Err(error) = edge.read.snapshot(&[creations::NAME], Some(&edge.read.token(deleted.position))).await {
        tracing::debug!(%error, "a deletion is not in the read models yet");
    }
    let shown = json!({ "success": true, "request_id": GlobalId::Generation(generation).text() });
    let mut response = Json(shown).into_response();
    generate::mark_repeat(response.headers_mut(), deleted.repeated);
    Ok(response)
}
