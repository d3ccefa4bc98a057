//! What a build holds beside what serves, both at one position.

use sqlx::{Postgres, Transaction};

use super::{Attempt, RebuildError};
use crate::place::Place;

/// How long one statement of the comparison may take; the model does not move meanwhile.
const COMPARISON: &str = "set local statement_timeout = 1000";

/// A table's old rows beside its new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedTable {
    /// The table.
    pub table: &'static str,
    /// How many rows served, with their content's digest; `None` when they were too many to be read in time.
    pub old: Option<(i64, String)>,
    /// The same of those that have taken over.
    pub new: Option<(i64, String)>,
}

impl ComparedTable {
    /// Whether both hold the same rows; `None` when it could not be found out in time.
    #[must_use]
    pub fn same(&self) -> Option<bool> {
        Some(self.old.as_ref()? == self.new.as_ref()?)
    }
}

impl Attempt<'_> {
    pub(super) async fn compare(
        &self,
        transaction: &mut Transaction<'static, Postgres>,
    ) -> Result<Vec<ComparedTable>, RebuildError> {
        let mut tables = Vec::new();
        for table in self.projection.tables() {
            let old = digest(transaction, self.place.other(), table).await?;
            let new = digest(transaction, self.place, table).await?;
            tables.push(ComparedTable { table, old, new });
        }
        Ok(tables)
    }
}

/// A table's number of rows and a digest of what is in them, whatever their order; `None` when it takes too long.
async fn digest(
    transaction: &mut Transaction<'static, Postgres>,
    place: Place,
    table: &str,
) -> Result<Option<(i64, String)>, sqlx::Error> {
    let sql = format!(
        "select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from {}.{table} t",
        place.schema()
    );
    let mut part = sqlx::Acquire::begin(&mut *transaction).await?;
    sqlx::query(COMPARISON).execute(&mut *part).await?;
    match sqlx::query_as(&sql).fetch_one(&mut *part).await {
        Ok(found) => {
            part.commit().await?;
            Ok(Some(found))
        }
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014") => {
            part.rollback().await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
