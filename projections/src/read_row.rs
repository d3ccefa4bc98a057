//! Rows of read models: loaded by key for a batch, folded in memory, written back in one set-based statement (DESIGN 5).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

/// A read model's row. Its fields are its table's columns, by name.
pub(crate) trait ReadRow: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The table of this version of the model.
    const TABLE: &'static str;
    /// The primary key's column.
    const KEY: &'static str;
    /// The primary key's SQL type.
    const KEY_TYPE: &'static str;

    /// The primary key as text.
    fn key(&self) -> String;
}

/// The rows that a batch of events concerns.
pub(crate) struct Rows<R> {
    rows: BTreeMap<String, R>,
    removed: BTreeSet<String>,
}

impl<R: ReadRow> Rows<R> {
    /// Loads the rows of these keys, as far as they exist.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<Self, sqlx::Error> {
        let keys: Vec<String> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = BTreeMap::new();
        if !keys.is_empty() {
            let (table, key, key_type) = (R::TABLE, R::KEY, R::KEY_TYPE);
            let sql = format!("select row_to_json(t) from {table} t where {key} = any($1::text[]::{key_type}[])");
            for sqlx::types::Json(row) in
                sqlx::query_scalar::<_, sqlx::types::Json<R>>(&sql).bind(keys).fetch_all(connection).await?
            {
                rows.insert(row.key(), row);
            }
        }
        Ok(Self { rows, removed: BTreeSet::new() })
    }

    /// The row of a key, to be changed in place.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut R> {
        self.rows.get_mut(key)
    }

    /// Adds a row, or replaces it.
    pub(crate) fn put(&mut self, row: R) {
        let key = row.key();
        self.removed.remove(&key);
        self.rows.insert(key, row);
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: &str) -> Option<R> {
        let row = self.rows.remove(key);
        if row.is_some() {
            self.removed.insert(key.to_owned());
        }
        row
    }

    /// Writes everything back: one statement for what is there, one for what is gone.
    pub(crate) async fn save(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (table, key, key_type) = (R::TABLE, R::KEY, R::KEY_TYPE);
        if !self.removed.is_empty() {
            let removed: Vec<String> = self.removed.into_iter().collect();
            let sql = format!("delete from {table} where {key} = any($1::text[]::{key_type}[])");
            sqlx::query(&sql).bind(removed).execute(&mut *connection).await?;
        }
        let rows: Vec<R> = self.rows.into_values().collect();
        let Some(first) = rows.first() else { return Ok(()) };
        let first = serde_json::to_value(first).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let columns: Vec<&String> = first.as_object().map(|object| object.keys().collect()).unwrap_or_default();
        let set: Vec<String> = columns
            .iter()
            .filter(|column| column.as_str() != key)
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let sql = format!(
            "insert into {table} select * from jsonb_populate_recordset(null::{table}, $1) on conflict ({key}) do update set {}",
            set.join(", ")
        );
        sqlx::query(&sql).bind(sqlx::types::Json(rows)).execute(connection).await?;
        Ok(())
    }
}
