//! Removing what a read model holds of one account, so that its streams can be folded again.

use atelier_domain::AccountId;
use sqlx::PgConnection;

/// Removes an account's rows from tables that know their account by `account_id`, in the place of the transaction.
///
/// # Errors
/// When the database failed, or a table has no such column.
pub(crate) async fn forget_account(
    connection: &mut PgConnection,
    tables: &[&str],
    account: AccountId,
) -> Result<(), sqlx::Error> {
    for table in tables {
        let delete = format!("delete from {table} where account_id = $1");
        sqlx::query(&delete).bind(account.0).execute(&mut *connection).await?;
    }
    Ok(())
}
