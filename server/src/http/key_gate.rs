//! The gate before every route of `/v1` that takes a key: who is asking, whether they may, and how often; then the count of it.
//!
//! In this order: a well-formed key or 401; the key's row, never cached (sec.K3); 429 for a wrong one from an address with too many, which
//! never refuses a right one: what such an address asks is looked up one by one, so that it keeps no more of the database from others;
//! the account's plan, as the log has it; the burst. The body is not read before (B02).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_commands::api_policy::{ApiAccess, ApiPolicy, BURST_SECONDS, FAILURES_SECONDS};
use atelier_commands::use_cases::CallingKey;
use atelier_commands::{Refusal, RefusalCode, UseCaseError};
use atelier_domain::account::{Account, KeyScope};
use atelier_domain::credit_ledger::KeyBudget;
use atelier_domain::policy::plan::Plan;
use atelier_domain::{ApiKeyId, Credits};
use atelier_vault::ApiKeySecret;
use atelier_vault::credential_rows::api_keys::{self, AuthenticatedApiKey};
use atelier_vault::credential_rows::key_places::Places;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::{ApiError, ApiResult};
use super::rate::{Quota, Rate};
use super::windows::{Standing, Windows};
use super::{Edge, auth, client};

const DAY: &str = "day";
const BURST: &str = "burst";
const AT_ONCE: &str = "concurrency";

/// What this node counts by itself.
pub struct Gate {
    bursts: Windows<ApiKeyId>,
    failures: Windows<IpAddr>,
    /// For look-ups that addresses with too many wrong keys ask for.
    watched: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            bursts: Windows::new(Duration::from_secs(BURST_SECONDS.into())),
            failures: Windows::new(Duration::from_secs(FAILURES_SECONDS.into())),
            watched: Semaphore::new(1),
        }
    }
}

/// A request by a key that counts.
pub struct Visit {
    /// The key.
    pub key: AuthenticatedApiKey,
    offered: Vec<KeyScope>,
    rate: Mutex<Rate>,
    remaining: Mutex<Option<Credits>>,
}

/// What handlers take the visit as.
pub type Visitor = axum::Extension<Arc<Visit>>;

impl Visit {
    /// The key has the scope, and this deployment still offers it (V29).
    pub fn may(&self, scope: KeyScope) -> ApiResult<()> {
        if self.offered.contains(&scope) && self.key.scopes.iter().any(|name| name == scope.as_str()) {
            return Ok(());
        }
        let message = format!("This API key lacks the scope {}.", scope.as_str());
        Err(ApiError::new(StatusCode::FORBIDDEN, "scope_missing", message).with("scope", scope.as_str()))
    }

    /// The key as a request for a generation names it.
    pub fn calling(&self) -> CallingKey {
        let AuthenticatedApiKey { key, caps, budget, .. } = self.key;
        CallingKey { key, budget: (!caps.is_none()).then_some(KeyBudget { key_id: budget, caps }) }
    }

    /// Takes note of the places that are taken now.
    pub fn counted(&self, places: Places, now: DateTime<Utc>) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = rate.limits.iter_mut().find(|limit| limit.name == DAY) {
            *limit = day(limit.most, places, now);
        }
    }

    /// Takes note of the limit that a request met with.
    pub fn refused(&self, error: &UseCaseError) {
        let UseCaseError::Refused(Refusal { code, retry_after: Some(wait), .. }) = error else { return };
        let name = match code {
            RefusalCode::RateLimited => DAY,
            RefusalCode::ConcurrencyLimit => AT_ONCE,
            _ => return,
        };
        let seconds = u64::try_from(wait.num_seconds()).unwrap_or(0).max(1);
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).meet(name, seconds);
    }

    /// Takes note of what can be spent after this request, for `X-Credits-Remaining` (REQUIREMENTS 3.4.4).
    pub fn remaining(&self, credits: Credits) {
        *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) = Some(credits);
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).write(headers);
        if let Some(credits) = *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) {
            headers.insert("x-credits-remaining", HeaderValue::from(credits.get()));
        }
    }
}

/// The middleware.
pub async fn gate(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let peer = client::address_of(&edge, &request);
    let key = match authenticated(&edge, request.headers(), peer).await {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    let (id, account) = (key.key, key.account);
    let (visit, admitted) = match admit(&edge, key).await {
        Ok(admitted) => admitted,
        Err(error) => return error.into_response(),
    };
    let mut response = match admitted {
        Ok(()) => {
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        }
        Err(error) => error.into_response(),
    };
    visit.write_headers(response.headers_mut());
    edge.write.usage.request(id, account, response.status().as_u16(), edge.write.now());
    response
}

/// The key that a request comes by. Every bad one is the same 401, and tells of no limit (sec.K4).
async fn authenticated(edge: &Edge, headers: &HeaderMap, peer: Option<IpAddr>) -> ApiResult<AuthenticatedApiKey> {
    let key = auth::presented(headers)
        .and_then(|text| ApiKeySecret::parse(text).ok())
        .ok_or_else(ApiError::invalid_api_key)?;
    let failures = edge.write.api.failures.zip(peer.map(network));
    let over = failures.filter(|(most, peer)| edge.gate.failures.standing(peer, Instant::now()).count >= *most);
    let turn = match over {
        Some(_) => edge.gate.watched.acquire().await.ok(),
        None => None,
    };
    let digest = edge.write.secrets.api_key(&key);
    let found = api_keys::authenticate(&edge.write.pool, &key, &digest, edge.write.now()).await?;
    drop(turn);
    match (found, failures, over) {
        (Some(found), ..) => Ok(found),
        (None, _, Some((_, peer))) => {
            let Standing { left, .. } = edge.gate.failures.standing(&peer, Instant::now());
            Err(ApiError::too_many("Too many wrong keys from your address; try again later.", seconds(left)))
        }
        (None, Some((_, peer)), None) => {
            edge.gate.failures.count(peer, Instant::now());
            Err(ApiError::invalid_api_key())
        }
        (None, None, None) => Err(ApiError::invalid_api_key()),
    }
}

/// The key's limits, and whether it is let through: by the plan, and by the burst.
async fn admit(edge: &Edge, key: AuthenticatedApiKey) -> ApiResult<(Arc<Visit>, ApiResult<()>)> {
    let account = edge.write.path.load::<Account>(&key.account.to_string()).await;
    let plan = account.map_err(|error| ApiError::from(error.map(Refusal::from)))?.state.plan();
    let policy: &ApiPolicy = &edge.write.api;
    let now = edge.write.now();
    let mut limits: Vec<Quota> =
        policy.jobs_a_day.of(plan).map(|most| day(most, key.places, now)).into_iter().collect();
    let mut over = None;
    if let Some(most) = policy.burst.of(plan) {
        let Standing { count, left } = edge.gate.bursts.count(key.key, Instant::now());
        over = (count > most).then(|| seconds(left));
        let reset = seconds(left);
        let left = most.saturating_sub(count);
        limits.push(Quota { name: BURST, most, within: Some(BURST_SECONDS), left, reset });
    }
    if let Some(most) = policy.at_once.of(plan) {
        limits.push(Quota { name: AT_ONCE, most, within: None, left: most, reset: 0 });
    }
    let mut rate = Rate { limits, met: None };
    let admitted = match over {
        Some(wait) => {
            rate.meet(BURST, wait);
            Err(ApiError::too_many("Too many requests at once; try again in a moment.", wait))
        }
        None => may_ask(policy.access, plan),
    };
    let visit = Visit { key, offered: policy.scopes.clone(), rate: Mutex::new(rate), remaining: Mutex::default() };
    Ok((Arc::new(visit), admitted))
}

/// Keys stop when the account's access goes (C14).
fn may_ask(access: ApiAccess, plan: Plan) -> ApiResult<()> {
    if access.allows(plan) {
        return Ok(());
    }
    let (error, message) = match access {
        ApiAccess::Off => ("forbidden", "This deployment has no API access."),
        ApiAccess::Paid | ApiAccess::All => ("plan_required", "API access needs a paid plan."),
    };
    Err(ApiError::new(StatusCode::FORBIDDEN, error, message))
}

fn day(most: u32, places: Places, now: DateTime<Utc>) -> Quota {
    let left = most.saturating_sub(u32::try_from(places.used).unwrap_or(u32::MAX));
    let reset = u64::try_from(places.free_in(now).num_seconds()).unwrap_or(0);
    Quota { name: DAY, most, within: Some(24 * 60 * 60), left, reset }
}

/// Whole seconds, at least one: who waits so long is not refused for it again.
fn seconds(left: Duration) -> u64 {
    left.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1)
}

/// What counts as one address: of IPv6, the /64 that one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}
