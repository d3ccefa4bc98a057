//! The renderer takes accounts in turn: whoever asks for much waits for those who ask for little, and not the other way round.
//!
//! A render gets its turn when it is asked for, in the transaction of the process manager, so one after the other: the round that is at
//! work, or the one after the account's last. Renders are leased by their turns. When all places are taken, one more is kept for an account
//! that has nothing at work, so that it waits for nobody's job to end.
//!
//! | dies | what is left | what follows |
//! | --- | --- | --- |
//! | before the job's start | its turn, and its place | the lease runs out, and it is taken again by the same turn |
//! | after its start | the same, and the run limit from that start | another attempt, or its end at the limit |
//! | with nobody to take it | a job that waits | it fails at its longest wait, and its hold is voided |
//! | between a job's end and its leaving the list | a render of a job that has ended | `DeleteMedia` is done again; whoever leases it finds it ended |

use atelier_domain::GenerationId;
use sqlx::PgPool;

/// How far a place in the queue is counted: to show it must stay cheap.
const COUNTED: i64 = 1_000;

/// Takes a render off the list that nobody has begun.
pub(super) async fn leave(pool: &PgPool, generation: GenerationId) -> Result<(), sqlx::Error> {
    let leave =
        "delete from process_work where lane = 'render' and subject = $1 and leased_until is null and state <> 'dead'";
    sqlx::query(leave).bind(generation.0).execute(pool).await.map(drop)
}

/// A job's place among those that wait: 1 is the next; at most 1,000. `None` when it does not wait: it was begun, or is not on the list yet.
///
/// # Errors
/// When the database failed.
pub async fn place(pool: &PgPool, generation: GenerationId) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "select (select count(*) from (select from process_work w where w.lane = 'render' and w.leased_until is null \
         and w.state <> 'dead' and (coalesce(w.turn, 0), w.due_at) <= (coalesce(own.turn, 0), own.due_at) limit $2) ahead) \
         from process_work own where own.lane = 'render' and own.subject = $1 and own.leased_until is null and own.state <> 'dead'",
    )
    .bind(generation.0)
    .bind(COUNTED)
    .fetch_optional(pool)
    .await
}
