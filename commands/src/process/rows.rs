//! The rows of process managers: state and work, written in the transaction that moves the checkpoint, so exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;

use atelier_domain::{AccountId, Envelope};
use atelier_vault::credential_rows::RowError;
use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{ProcessManager, Reaction, Work};

/// Later than anything that is due: the first second of the year 9999.
const NEVER: DateTime<Utc> = DateTime::from_timestamp(253_370_764_800, 0).expect("a year of four digits");

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
    let loaded = load::<M>(connection, &concerned).await?;
    let mut states: BTreeMap<String, Option<M::State>> =
        loaded.iter().map(|(instance, state)| (instance.clone(), Some(state.clone()))).collect();
    let mut work = Vec::new();
    for (event, instance) in &concerned {
        let slot = states.entry(instance.clone()).or_default();
        let Reaction { state, work: asked } = M::react(slot.take(), event);
        *slot = state;
        for (n, item) in asked.into_iter().enumerate() {
            work.push((format!("{}:{}:{n}", M::NAME, event.event_id), item));
        }
    }
    // What is as it was needs no statement.
    states.retain(|instance, state| state.as_ref() != loaded.get(instance));
    save::<M>(connection, states).await?;
    insert(connection, &work).await
}

async fn load<M: ProcessManager>(
    connection: &mut PgConnection,
    concerned: &[(&Envelope, String)],
) -> Result<BTreeMap<String, M::State>, sqlx::Error> {
    let instances: Vec<&str> = concerned.iter().map(|(_, instance)| instance.as_str()).collect();
    let rows = sqlx::query("select instance, state from process_states where manager = $1 and instance = any($2)")
        .bind(M::NAME)
        .bind(&instances)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|row| {
            let Json(state) = row.try_get::<Json<M::State>, _>(1)?;
            Ok((row.try_get(0)?, state))
        })
        .collect()
}

/// One statement for what is remembered, one for what is forgotten, however many events the batch had.
async fn save<M: ProcessManager>(
    connection: &mut PgConnection,
    states: BTreeMap<String, Option<M::State>>,
) -> Result<(), sqlx::Error> {
    let (mut kept, mut values, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for (instance, state) in states {
        match state {
            Some(state) => {
                kept.push(instance);
                values.push(Json(state));
            }
            None => forgotten.push(instance),
        }
    }
    if !kept.is_empty() {
        sqlx::query(
            "insert into process_states (manager, instance, state) select $1, u.instance, u.state \
             from unnest($2::text[], $3::jsonb[]) as u (instance, state) \
             on conflict (manager, instance) do update set state = excluded.state",
        )
        .bind(M::NAME)
        .bind(kept)
        .bind(values)
        .execute(&mut *connection)
        .await?;
    }
    if !forgotten.is_empty() {
        sqlx::query("delete from process_states where manager = $1 and instance = any($2)")
            .bind(M::NAME)
            .bind(forgotten)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Forgets what a process manager remembers of an account that was erased while its events were left out here: the instances that its
/// id names, or whose state holds it. Rare, so it may look at all of them.
///
/// # Errors
/// When the database failed.
pub async fn forget<M: ProcessManager>(connection: &mut PgConnection, account: AccountId) -> Result<(), sqlx::Error> {
    let forget =
        "delete from process_states where manager = $1 and (strpos(instance, $2) > 0 or strpos(state::text, $2) > 0)";
    sqlx::query(forget).bind(M::NAME).bind(account.to_string()).execute(connection).await.map(drop)
}

/// Adds pieces of work; the same id again is the same work. What has no time of its own is due at once, by the database's clock.
async fn insert(connection: &mut PgConnection, work: &[(String, Work)]) -> Result<(), sqlx::Error> {
    if work.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = work.iter().map(|(id, _)| id.as_str()).collect();
    let lanes: Vec<&str> = work.iter().map(|(_, item)| item.lane().as_str()).collect();
    let payloads: Vec<Json<&Work>> = work.iter().map(|(_, item)| Json(item)).collect();
    // An older log may hold instants that the database does not carry: what is due far too early or late is due at the end of what it does.
    let bounds = |at: DateTime<Utc>| at.clamp(DateTime::UNIX_EPOCH, NEVER);
    let due: Vec<Option<DateTime<Utc>>> = work.iter().map(|(_, item)| item.due_at().map(bounds)).collect();
    let payers: Vec<Option<Uuid>> = work.iter().map(|(_, item)| item.turn()?.0.map(|account| account.0)).collect();
    let subjects: Vec<Option<Uuid>> = work.iter().map(|(_, item)| item.turn().map(|(_, job)| job.0)).collect();
    // A render's turn (see `turns`): the round at work, or else the first that waits; a round later than the account's last; and within
    // one statement one after the other.
    sqlx::query(
        "insert into process_work (id, lane, payload, due_at, payer, subject, turn) \
         with round as (select coalesce(\
             (select max(turn) from process_work where lane = 'render' and leased_until is not null), \
             (select min(turn) from process_work where lane = 'render'), 1) as now), \
         asked as (select u.*, row_number() over (partition by u.payer order by u.n) - 1 as nth, \
             (select max(w.turn) from process_work w where w.lane = 'render' and w.payer = u.payer) as last \
             from unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::uuid[], $6::uuid[]) with ordinality \
                 as u (id, lane, payload, due_at, payer, subject, n)) \
         select a.id, a.lane, a.payload, coalesce(a.due_at, now()), a.payer, a.subject, \
             case when a.lane = 'render' then greatest(round.now, a.last + 1) + a.nth end \
         from asked a cross join round on conflict (id) do nothing",
    )
    .bind(ids)
    .bind(lanes)
    .bind(payloads)
    .bind(due)
    .bind(payers)
    .bind(subjects)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Adds one piece of work that no event asked for; the same id again is the same work.
///
/// # Errors
/// When the database failed.
pub async fn enqueue(pool: &sqlx::PgPool, id: &str, work: &Work) -> Result<(), RowError> {
    let mut connection = pool.acquire().await?;
    Ok(insert(&mut connection, &[(id.to_owned(), work.clone())]).await?)
}
