//! What is kept beside the log: devices and last use of sessions, usage of keys, notices. Never a digest, never a seed.

use std::collections::HashMap;

use atelier_domain::ApiKeyId;
use atelier_vault::credential_rows::key_usage::{self, KEPT_DAYS, KeyUsage};
use atelier_vault::credential_rows::sessions::{self, SessionDetails};
use chrono::Days;
use serde_json::{Value, json};

use super::account::Known;
use super::archive::Archive;
use super::history::opened;
use crate::notices;
use crate::refusal::UseCaseError;
use crate::write_side::WriteSide;

/// How many keys are looked up at once.
const KEYS: usize = 50;

/// `sessions.json`: those of the request's moment that still count.
pub(super) async fn sessions(write: &WriteSide, known: &Known) -> Result<Value, UseCaseError> {
    let rows = sessions::details(&write.pool, known.account, write.now()).await?;
    let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.session, row)).collect();
    let mut listed = Vec::new();
    for (id, (started_at, expires_at)) in &known.sessions {
        let Some(SessionDetails { device, place, last_active_at, .. }) = rows.get(id) else { continue };
        listed.push(json!({
            "id": format!("ses_{}", id.0.simple()),
            "device": opened(write, known.account, "device", device.as_ref()).await?,
            "place": opened(write, known.account, "place", place.as_ref()).await?,
            "started_at": started_at,
            "last_active_at": last_active_at,
            "expires_at": expires_at,
        }));
    }
    Ok(listed.into())
}

/// `api_keys.json`: every key, oldest first, each with its usage by day and status.
pub(super) async fn api_keys(write: &WriteSide, known: &Known, archive: &Archive) -> Result<(), UseCaseError> {
    let since = write.now().date_naive() - Days::new(KEPT_DAYS);
    let mut list = archive.list("api_keys.json", false).await?;
    let ids: Vec<ApiKeyId> = known.keys.keys().copied().collect();
    for ids in ids.chunks(KEYS) {
        let usage = key_usage::of(&write.pool, ids, since).await?;
        for id in ids {
            let Some(key) = known.keys.get(id) else { continue };
            let mut value = known.key(write, *id, key).await?;
            value["usage"] = used(usage.get(id));
            list.push(&value).await?;
        }
    }
    list.end().await.map(drop)
}

fn used(usage: Option<&KeyUsage>) -> Value {
    let days = usage.map(|usage| usage.days.as_slice()).unwrap_or_default().iter().map(|day| {
        let by_status =
            day.by_status.iter().map(|(status, requests)| json!({ "status": status, "requests": requests }));
        json!({ "day": day.day, "credits": day.credits, "requests": by_status.collect::<Vec<_>>() })
    });
    json!({ "last_used_at": usage.and_then(|usage| usage.last_used_at), "days": days.collect::<Vec<_>>() })
}

/// `notices.json`, newest first.
pub(super) async fn notices(write: &WriteSide, known: &Known) -> Result<Value, UseCaseError> {
    let shown = notices::of(&write.pool, known.account).await?;
    let notice = |notice: notices::KeptNotice| {
        json!({
            "id": format!("not_{}", notice.notice_id.simple()),
            "topic": notice.topic,
            "about": notice.about,
            "created_at": notice.at,
            "read_at": notice.read_at,
        })
    };
    Ok(shown.into_iter().map(notice).collect())
}
