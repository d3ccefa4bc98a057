//! `GET /v1/models` and `GET /v1/credits`.

use std::sync::Arc;

use atelier_domain::LedgerId;
use atelier_domain::account::KeyScope;
use atelier_domain::policy::catalogue::{self, Model};
use atelier_projections::models::credit_balance;
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::http::Edge;
use crate::http::answer::ApiResult;
use crate::http::key_gate::Visitor;

/// The models on offer (REQUIREMENTS 3.4.6).
pub async fn models(Extension(visit): Visitor) -> ApiResult<Json<Value>> {
    visit.may(KeyScope::ModelsRead)?;
    let shown = |model: &Model| {
        json!({
            "id": model.id,
            "media_type": model.media_type.as_str(),
            "modes": ["text-to-image"],
            "price": model.price.get(),
            "price_unit": "credits per image",
            "price_version": catalogue::PRICE_VERSION,
            "min_side": catalogue::MIN_SIDE,
            "max_side": catalogue::MAX_SIDE,
            "default_side": catalogue::DEFAULT_SIDE,
            "max_images": catalogue::MAX_IMAGES,
            "typical_seconds": model.typical_seconds,
            "status": "active",
        })
    };
    let models: Vec<Value> = catalogue::MODELS.iter().map(shown).collect();
    Ok(Json(json!({ "success": true, "models": models })))
}

/// The balance of the key's own ledger, live or test.
pub async fn credits(State(edge): State<Arc<Edge>>, Extension(visit): Visitor) -> ApiResult<Json<Value>> {
    visit.may(KeyScope::AccountRead)?;
    let key = &visit.key;
    let mut snapshot = edge.read.snapshot(&[credit_balance::NAME], None).await?;
    let ledger = LedgerId { account: key.account, environment: key.environment };
    let balance = credit_balance::of(&mut snapshot, ledger, edge.write.now()).await?;
    visit.remaining(balance.available);
    Ok(Json(json!({
        "success": true,
        "environment": key.environment.as_str(),
        "available": balance.available.get(),
        "held": balance.held.get(),
        "expiring_soon": balance.expiring_soon.get(),
    })))
}

/// What this API takes and gives, for machines. Open to everybody: it tells nothing that the documentation does not.
pub async fn openapi() -> Json<Value> {
    Json(crate::openapi::document())
}
