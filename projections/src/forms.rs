//! Which forms of events a node decodes: each says so with its heartbeat, so that an older one leaves to it what only it can decode.
//!
//! A node that meets an event of a form it does not know stands aside as long as a node lives that says it knows it. The forms are
//! written before a node serves, by the database's clock; a node lives if it was seen in the last minute. A release from before this
//! says nothing, and no event of a form that it does not know is left to it.

use std::collections::BTreeMap;

use atelier_domain::LogEvent;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::batch::Undecodable;

fn key(aggregate_type: &str, event_type: &str) -> String {
    format!("{aggregate_type}.{event_type}")
}

/// What this release decodes, with the highest version of each.
fn ours() -> BTreeMap<String, i32> {
    LogEvent::forms().map(|(aggregate, event, version)| (key(aggregate, event), version)).collect()
}

/// Says what this node decodes and that it is there; forgets nodes that were not seen for a day.
///
/// # Errors
/// When the database failed.
pub(crate) async fn say(pool: &PgPool, node: Uuid) -> Result<(), sqlx::Error> {
    let say = "with old as (delete from node_forms where seen_at < clock_timestamp() - interval '1 day' and node <> $1) \
               insert into node_forms (node, forms, seen_at) values ($1, $2, clock_timestamp()) \
               on conflict (node) do update set seen_at = excluded.seen_at, forms = excluded.forms";
    sqlx::query(say).bind(node).bind(Json(ours())).execute(pool).await.map(drop)
}

/// Takes back what a node said that stops.
///
/// # Errors
/// When the database failed; then it grows old.
pub(crate) async fn withdraw(pool: &PgPool, node: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("delete from node_forms where node = $1").bind(node).execute(pool).await.map(drop)
}

/// Whether a live node says that it decodes an event of this form, and this release does not: a payload that is malformed for a form
/// this release knows is nobody's.
///
/// # Errors
/// When the database failed.
pub(crate) async fn another_decodes(
    connection: &mut PgConnection,
    node: Uuid,
    event: &Undecodable,
) -> Result<bool, sqlx::Error> {
    let form = key(&event.aggregate_type, &event.event_type);
    let Ok(version) = event.event_version.parse::<i32>() else { return Ok(false) };
    if ours().get(&form).is_some_and(|known| *known >= version) {
        return Ok(false);
    }
    let live = "select exists (select from node_forms where node <> $1 and seen_at > clock_timestamp() - interval '1 minute' \
                and (forms ->> $2)::int >= $3)";
    sqlx::query_scalar(live).bind(node).bind(form).bind(version).fetch_one(connection).await
}
