//! Rows of read models: loaded by key for a batch, folded in memory, written back in one set-based statement (DESIGN 5).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::carried;

/// A read model's row. Its fields are its table's columns, by name.
pub(crate) trait ReadRow: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The primary key. Its text is what SQL reads.
    type Key: Ord + Copy + Display + Send + Sync;
    /// The table of this version of the model, without its schema: where it is depends on the place (see `place`).
    const TABLE: &'static str;
    /// The primary key's column.
    const KEY: &'static str;
    /// The primary key's SQL type.
    const KEY_TYPE: &'static str;

    /// The primary key.
    fn key(&self) -> Self::Key;
}

/// The rows that a batch of events concerns.
pub(crate) struct Rows<R: ReadRow> {
    rows: BTreeMap<R::Key, Kept<R>>,
    removed: BTreeSet<R::Key>,
    /// Everything of these values of a column goes, but for what was put since: the column with its SQL type, and the values.
    dropped: BTreeMap<Column, BTreeSet<String>>,
}

/// A column, and its SQL type.
pub(crate) type Column = (&'static str, &'static str);

struct Kept<R> {
    row: R,
    changed: bool,
}

impl<R: ReadRow> Rows<R> {
    /// Loads the rows of these keys, as far as they exist, inside a fold: the transaction knows the place.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        keys: impl IntoIterator<Item = R::Key>,
    ) -> Result<Self, sqlx::Error> {
        Self::load_from(connection, R::TABLE, keys).await
    }

    /// Loads the rows of these keys from a table that is named with its schema.
    pub(crate) async fn load_from(
        connection: &mut PgConnection,
        table: &str,
        keys: impl IntoIterator<Item = R::Key>,
    ) -> Result<Self, sqlx::Error> {
        let keys: BTreeSet<R::Key> = keys.into_iter().collect();
        let mut rows = BTreeMap::new();
        if !keys.is_empty() {
            let (key, key_type) = (R::KEY, R::KEY_TYPE);
            let sql = format!("select row_to_json(t) from {table} t where {key} = any($1::text[]::{key_type}[])");
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            for Json(row) in sqlx::query_scalar::<_, Json<R>>(&sql).bind(keys).fetch_all(connection).await? {
                rows.insert(row.key(), Kept { row, changed: false });
            }
        }
        Ok(Self { rows, removed: BTreeSet::new(), dropped: BTreeMap::new() })
    }

    /// The row of a key.
    pub(crate) fn get(&self, key: R::Key) -> Option<&R> {
        self.rows.get(&key).map(|kept| &kept.row)
    }

    /// The row of a key, to be changed in place.
    pub(crate) fn get_mut(&mut self, key: R::Key) -> Option<&mut R> {
        let kept = self.rows.get_mut(&key)?;
        kept.changed = true;
        Some(&mut kept.row)
    }

    /// The row of a key, to be changed in place; made when there is none.
    pub(crate) fn get_or_put(&mut self, key: R::Key, make: impl FnOnce() -> R) -> &mut R {
        self.removed.remove(&key);
        let kept = self.rows.entry(key).or_insert_with(|| Kept { row: make(), changed: true });
        kept.changed = true;
        &mut kept.row
    }

    /// Adds a row, or replaces it.
    pub(crate) fn put(&mut self, row: R) {
        let key = row.key();
        self.removed.remove(&key);
        self.rows.insert(key, Kept { row, changed: true });
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: R::Key) -> Option<R> {
        let kept = self.rows.remove(&key)?;
        self.removed.insert(key);
        Some(kept.row)
    }

    /// Takes every row out that has a value in a column, loaded or not: an account's, when it is erased (A37).
    pub(crate) fn drop_where(&mut self, column: Column, value: impl Display, has_it: impl Fn(&R) -> bool) {
        self.dropped.entry(column).or_default().insert(value.to_string());
        self.rows.retain(|_, kept| !has_it(&kept.row));
    }

    /// Writes back what has changed, inside a fold: one statement for what is there, one for what is gone,
    /// and one for what an end took along.
    pub(crate) async fn save(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (table, key, key_type) = (R::TABLE, R::KEY, R::KEY_TYPE);
        for ((column, column_type), values) in &self.dropped {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let sql = format!("delete from {table} where {column} = any($1::text[]::{column_type}[])");
            sqlx::query(&sql).bind(values).execute(&mut *connection).await?;
        }
        if !self.removed.is_empty() {
            let removed: Vec<String> = self.removed.iter().map(ToString::to_string).collect();
            let sql = format!("delete from {table} where {key} = any($1::text[]::{key_type}[])");
            sqlx::query(&sql).bind(removed).execute(&mut *connection).await?;
        }
        let rows: Vec<&R> = self.rows.values().filter(|kept| kept.changed).map(|kept| &kept.row).collect();
        let Some(first) = rows.first() else { return Ok(()) };
        let first = serde_json::to_value(first).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let columns = first.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|column| *column != key);
        let set: Vec<String> = columns.map(|column| format!("{column} = excluded.{column}")).collect();
        // Arrays of texts, one for each column, were measured beside JSON: a tenth less work for the database, as much more for us.
        let sql = format!(
            "insert into {table} select * from jsonb_populate_recordset(null::{table}, $1::text::jsonb) on conflict ({key}) do update set {}",
            set.join(", ")
        );
        let rows = carried::rows(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(&sql).bind(rows).execute(connection).await?;
        Ok(())
    }
}

/// Keeps a value as the text that it shows and reads itself as.
pub(crate) mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
