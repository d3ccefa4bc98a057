//! The rows of work as the dispatcher moves them: leased, done, put off, dead. Whoever lost its lease changes nothing any more but the
//! end of work that is done: the number of attempts is the fence.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{Lane, Work};

/// A piece of work that is this node's for a while.
pub(super) struct Leased {
    /// The row's id.
    pub id: String,
    /// What to do.
    pub work: Work,
    /// Which attempt this is, from 1.
    pub attempts: i32,
}

/// Leases the oldest due pieces: id, payload, attempts, whether an earlier lease ran out, lane.
pub(super) async fn lease(
    pool: &PgPool,
    lanes: &[Lane],
    limit: usize,
    lease: Duration,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let lanes: Vec<&str> = lanes.iter().map(|lane| lane.as_str()).collect();
    // Lane by lane, so that the index gives the oldest without sorting a long list.
    sqlx::query(
        "with due as materialized (\
             select d.* from unnest($1::text[]) as l (lane) cross join lateral (\
                 select id, due_at, leased_until is not null as abandoned from process_work w \
                 where w.lane = l.lane and w.due_at <= now() and (w.leased_until is null or w.leased_until < now()) \
                 order by w.due_at limit $2 for update skip locked) d \
             order by d.due_at limit $2) \
         update process_work w set leased_until = now() + make_interval(secs => $3), attempts = w.attempts + 1 \
         from due where w.id = due.id returning w.id, w.payload, w.attempts, due.abandoned, w.lane",
    )
    .bind(&lanes)
    .bind(i64::try_from(limit).unwrap_or(1))
    .bind(lease.as_secs_f64())
    .fetch_all(pool)
    .await
}

/// Leases due renders by their turns: id, payload, attempts, whether an earlier lease ran out, lane. For `newcomers`, only those of accounts
/// that have none at work.
pub(super) async fn lease_renders(
    pool: &PgPool,
    limit: usize,
    newcomers: bool,
    lease: Duration,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(
        "with due as materialized (\
             select id, leased_until is not null as abandoned from process_work w \
             where w.lane = 'render' and w.due_at <= now() and (w.leased_until is null or w.leased_until < now()) \
             and not ($3 and (w.payer is null or exists (select from process_work o where o.lane = 'render' \
                 and o.payer = w.payer and o.leased_until >= now()))) \
             order by coalesce(w.turn, 0), w.due_at limit $1 for update skip locked) \
         update process_work w set leased_until = now() + make_interval(secs => $2), attempts = w.attempts + 1 \
         from due where w.id = due.id returning w.id, w.payload, w.attempts, due.abandoned, w.lane",
    )
    .bind(i64::try_from(limit).unwrap_or(1))
    .bind(lease.as_secs_f64())
    .bind(newcomers)
    .fetch_all(pool)
    .await
}

/// How long until the next piece of these lanes is due, by the database's clock; a leased one when its lease runs out. None without any.
pub(super) async fn next_due(pool: &PgPool, lanes: &[Lane]) -> Result<Option<Duration>, sqlx::Error> {
    let lanes: Vec<&str> = lanes.iter().map(|lane| lane.as_str()).collect();
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from min(d.due_at) - now())::float8 from unnest($1::text[]) as l (lane) cross join lateral (\
             select greatest(due_at, leased_until) as due_at from process_work w where w.lane = l.lane and w.due_at < 'infinity' order by w.due_at limit 20) d",
    )
    .bind(&lanes)
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.01)).unwrap_or(Duration::MAX)))
}

/// Keeps a piece for another `lease`; whether it still was this node's.
pub(super) async fn renew(pool: &PgPool, id: &str, attempts: i32, lease: Duration) -> Result<bool, sqlx::Error> {
    let renewed = sqlx::query(
        "update process_work set leased_until = now() + make_interval(secs => $3) \
         where id = $1 and attempts = $2 and leased_until is not null",
    );
    let renewed = renewed.bind(id).bind(attempts).bind(lease.as_secs_f64()).execute(pool).await?;
    Ok(renewed.rows_affected() == 1)
}

/// Takes off the list what is done.
pub(super) async fn done(pool: &PgPool, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("delete from process_work where id = $1").bind(id).execute(pool).await.map(drop)
}

/// Puts off what failed, `seconds` from now by the database's clock.
pub(super) async fn postpone(
    pool: &PgPool,
    id: &str,
    attempts: i32,
    seconds: f64,
    stuck: bool,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update process_work set leased_until = null, due_at = now() + make_interval(secs => $3), last_error = $4, \
         state = case when $5 then 'stuck' else state end where id = $1 and attempts = $2 and state <> 'dead'",
    )
    .bind(id)
    .bind(attempts)
    .bind(seconds)
    .bind(error)
    .bind(stuck)
    .execute(pool)
    .await
    .map(drop)
}

/// Puts back what came too early; that was no attempt.
pub(super) async fn too_early(pool: &PgPool, id: &str, attempts: i32, seconds: f64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update process_work set leased_until = null, due_at = now() + make_interval(secs => $3), attempts = attempts - 1 \
         where id = $1 and attempts = $2",
    )
    .bind(id)
    .bind(attempts)
    .bind(seconds)
    .execute(pool)
    .await
    .map(drop)
}

/// Leaves a kind of work that this release does not know to a node that does; that was no attempt either.
pub(super) async fn leave(pool: &PgPool, id: &str, attempts: i32, seconds: f64, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update process_work set leased_until = null, due_at = now() + make_interval(secs => $3), attempts = attempts - 1, \
         last_error = $4 where id = $1 and attempts = $2",
    )
    .bind(id)
    .bind(attempts)
    .bind(seconds)
    .bind(why)
    .execute(pool)
    .await
    .map(drop)
}

/// Keeps what can never be done, as a record that is never due.
pub(super) async fn bury(pool: &PgPool, id: &str, attempts: i32, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update process_work set leased_until = null, due_at = 'infinity', state = 'dead', last_error = $3 \
         where id = $1 and attempts = $2",
    )
    .bind(id)
    .bind(attempts)
    .bind(error)
    .execute(pool)
    .await
    .map(drop)
}
