//! How transactions begin: whole, whatever becomes of their caller.

use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction.
///
/// # Errors
/// When the database failed.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "begin").await
}

/// Begins a transaction with a statement of its own, which may set its bounds as well.
///
/// It begins in a task, which ends though the caller may have gone: an attempt that took too long, a reader that left, a rebuild that was
/// ended. The driver does not know yet of a `begin` that is cut off, so the connection would go back to the pool inside a transaction, and
/// what its next user writes would be committed by nobody. From its beginning on, the transaction itself sees to its end.
///
/// # Errors
/// When the database failed.
pub async fn begin_with(
    pool: &PgPool,
    statement: impl Into<String>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (pool, statement) = (pool.clone(), statement.into());
    #[expect(clippy::disallowed_methods, reason = "the one place where transactions begin")]
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    // It panics only with the driver, and is not aborted.
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
