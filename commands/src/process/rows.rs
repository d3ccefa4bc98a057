//! The rows of process managers: state and work, written in the transaction that moves the checkpoint, so exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atelier_domain::Envelope;
use atelier_vault::credential_rows::RowError;
use sqlx::{PgConnection, Row};

use super::{ProcessManager, Reaction, Work};

/// Feeds a batch of events to a process manager and writes what it decides, inside the caller's transaction.
///
/// # Errors
/// When the database refuses; the caller rolls back, and the batch comes again.
pub async fn react<M: ProcessManager>(
    connection: &mut PgConnection,
    events: &[Arc<Envelope>],
) -> Result<(), sqlx::Error> {
    let concerned: Vec<(&Envelope, String)> =
        events.iter().filter_map(|event| M::instance(event).map(|instance| (event.as_ref(), instance))).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let mut states = load::<M>(connection, &concerned).await?;
    let known: BTreeSet<String> = states.keys().cloned().collect();
    let mut work = Vec::new();
    for (event, instance) in &concerned {
        let slot = states.entry(instance.clone()).or_default();
        let Reaction { state, work: asked } = M::react(slot.take(), event);
        *slot = state;
        for (n, item) in asked.into_iter().enumerate() {
            work.push((format!("{}:{}:{n}", M::NAME, event.event_id), item));
        }
    }
    // What was not there before and is not there now needs no statement.
    states.retain(|instance, state| state.is_some() || known.contains(instance));
    save::<M>(connection, states).await?;
    for (id, item) in work {
        insert(connection, &id, &item).await?;
    }
    Ok(())
}

async fn load<M: ProcessManager>(
    connection: &mut PgConnection,
    concerned: &[(&Envelope, String)],
) -> Result<BTreeMap<String, Option<M::State>>, sqlx::Error> {
    let instances: Vec<&str> = concerned.iter().map(|(_, instance)| instance.as_str()).collect();
    let rows = sqlx::query("select instance, state from process_states where manager = $1 and instance = any($2)")
        .bind(M::NAME)
        .bind(&instances)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let sqlx::types::Json(state) = row.try_get::<sqlx::types::Json<M::State>, _>(1)?;
            Ok((row.try_get(0)?, Some(state)))
        })
        .collect()
}

async fn save<M: ProcessManager>(
    connection: &mut PgConnection,
    states: BTreeMap<String, Option<M::State>>,
) -> Result<(), sqlx::Error> {
    for (instance, state) in states {
        match state {
            Some(state) => {
                sqlx::query(
                    "insert into process_states (manager, instance, state) values ($1, $2, $3) \
                     on conflict (manager, instance) do update set state = excluded.state",
                )
                .bind(M::NAME)
                .bind(instance)
                .bind(sqlx::types::Json(state))
                .execute(&mut *connection)
                .await?;
            }
            None => {
                sqlx::query("delete from process_states where manager = $1 and instance = $2")
                    .bind(M::NAME)
                    .bind(instance)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Adds one piece of work; the same id again is the same work. What has no time of its own is due at once, by the database's clock.
async fn insert(connection: &mut PgConnection, id: &str, work: &Work) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into process_work (id, lane, payload, due_at) values ($1, $2, $3, coalesce($4, now())) on conflict (id) do nothing",
    )
    .bind(id)
    .bind(work.lane().as_str())
    .bind(sqlx::types::Json(work))
    .bind(work.due_at())
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds one piece of work that no event asked for; the same id again is the same work.
///
/// # Errors
/// When the database failed.
pub async fn enqueue(pool: &sqlx::PgPool, id: &str, work: &Work) -> Result<(), RowError> {
    let mut connection = pool.acquire().await?;
    Ok(insert(&mut connection, id, work).await?)
}
