//! Who has roles: a row for each account that has or had one, so that they are found without reading the log.
//!
//! What an account may do is decided by its own state, never by these rows. They follow it: each write carries the place in the
//! account's stream that it comes from, and an older one never undoes a newer one.

use std::collections::BTreeSet;

use atelier_domain::AccountId;
use atelier_domain::account::Role;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::RowError;
use crate::transactions::begin;

/// The most rows that one answer has.
pub const MOST: i64 = 500;

/// Somebody with roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleHolder {
    /// Who.
    pub account: AccountId,
    /// Which.
    pub roles: BTreeSet<Role>,
}

/// Notes the roles that an account has since a place in its stream. Late or again it does nothing.
///
/// # Errors
/// When the database failed.
pub async fn put(pool: &PgPool, account: AccountId, roles: &BTreeSet<Role>, sequence: i64) -> Result<(), RowError> {
    let words: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    // Who never had one needs no row.
    let statement = if words.is_empty() {
        "UPDATE credentials.staff_roles SET roles = $2, sequence = $3 WHERE account_id = $1 AND sequence < $3"
    } else {
        "INSERT INTO credentials.staff_roles AS r (account_id, roles, sequence) VALUES ($1, $2, $3)
         ON CONFLICT (account_id) DO UPDATE SET roles = excluded.roles, sequence = excluded.sequence
         WHERE r.sequence < excluded.sequence"
    };
    sqlx::query(statement).bind(account.0).bind(words).bind(sequence).execute(pool).await?;
    Ok(())
}

/// Removes an account's row, whatever it says.
///
/// # Errors
/// When the database failed.
pub async fn delete_account(pool: &PgPool, account: AccountId) -> Result<(), RowError> {
    let statement = "DELETE FROM credentials.staff_roles WHERE account_id = $1";
    sqlx::query(statement).bind(account.0).execute(pool).await?;
    Ok(())
}

/// Up to `limit` accounts with a role, of any kind or of one, by their ids; those after an id, if one is given.
///
/// # Errors
/// When the database failed.
pub async fn holders(
    pool: &PgPool,
    role: Option<Role>,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<RoleHolder>, RowError> {
    let rows: Vec<(Uuid, Vec<String>)> = sqlx::query_as(
        "SELECT account_id, roles FROM credentials.staff_roles
         WHERE roles <> '{}' AND ($1::text IS NULL OR $1 = ANY (roles)) AND ($2::uuid IS NULL OR account_id > $2)
         ORDER BY account_id LIMIT $3",
    )
    .bind(role.map(Role::as_str))
    .bind(after.map(|account| account.0))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let holder = |(account, roles): (Uuid, Vec<String>)| RoleHolder {
        account: AccountId(account),
        roles: roles.iter().filter_map(|word| Role::parse(word)).collect(),
    };
    Ok(rows.into_iter().map(holder).collect())
}

/// The right to take the role of an admin away, on any number of nodes: two who take it from each other come one after the other. It
/// ends with the transaction, or with whoever died in it.
///
/// # Errors
/// When the database failed.
pub async fn lock_admins(pool: &PgPool) -> Result<Transaction<'static, Postgres>, RowError> {
    let mut transaction = begin(pool).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(7029341185503)").execute(&mut *transaction).await?;
    Ok(transaction)
}
