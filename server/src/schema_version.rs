//! Which release made the database's schema: the one that runs, an older or a newer one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::migrate::Migrator;

/// Why a schema cannot be served. Each is a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// There is no schema.
    #[error(
        "the database has no schema yet: run `atelier migrate` with ATELIER_OWNER_URL, the database's owner, first"
    )]
    Absent,
    /// Migrations of this release are missing.
    #[error(
        "the database's schema is of an older release ({missing} migrations are missing, the first is {first}): run `atelier migrate` of this \
         release with ATELIER_OWNER_URL, the database's owner, first"
    )]
    Older {
        /// How many.
        missing: usize,
        /// The number of the first one.
        first: i64,
    },
    /// The schema of a release that could not say which it is.
    #[error(
        "the database's schema is of an older release: run `atelier migrate` of this release with ATELIER_OWNER_URL, the database's owner, \
         first"
    )]
    MuchOlder,
    /// A newer release migrated it.
    #[error(
        "the database's schema was made by a newer release (it has migration {theirs}; this release ends with {ours}): run that release, or \
         restore a backup from before its migration"
    )]
    Newer {
        /// The newest migration that this release does not know.
        theirs: i64,
        /// The newest one that it knows.
        ours: i64,
    },
    /// A migration was applied in another form.
    #[error("migration {0} of the database is not this release's: the schema was made by another build of atelier")]
    Changed(i64),
    /// A migration did not end.
    #[error("migration {0} of the database did not end: run `atelier migrate` again, and look at its error")]
    Unfinished(i64),
    /// The database failed.
    #[error("the database cannot be used: {0}")]
    Sql(#[from] sqlx::Error),
}

/// PostgreSQL's code for a table that the role may not read.
const NOT_PERMITTED: &str = "42501";

/// Compares the database's migrations with those of this release.
///
/// # Errors
/// A [`SchemaError`] unless they are the same.
pub async fn check(connection: &mut PgConnection, ours: &Migrator) -> Result<(), SchemaError> {
    let exists: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !exists {
        return Err(SchemaError::Absent);
    }
    let rows = sqlx::query_as::<_, (i64, Vec<u8>, bool)>("select version, checksum, success from _sqlx_migrations");
    let applied = match rows.fetch_all(connection).await {
        Ok(rows) => rows,
        // The application may look since the migration that brought this check.
        Err(sqlx::Error::Database(error)) if error.code() == Some(Cow::Borrowed(NOT_PERMITTED)) => {
            return Err(SchemaError::MuchOlder);
        }
        Err(error) => return Err(error.into()),
    };
    compare(applied, ours.iter().map(|migration| (migration.version, migration.checksum.as_ref())))
}

fn compare<'a>(
    applied: Vec<(i64, Vec<u8>, bool)>,
    ours: impl Iterator<Item = (i64, &'a [u8])>,
) -> Result<(), SchemaError> {
    let ours: BTreeMap<i64, &[u8]> = ours.collect();
    let last = ours.keys().next_back().copied().unwrap_or(0);
    if let Some(theirs) = applied.iter().map(|row| row.0).filter(|version| !ours.contains_key(version)).max() {
        return Err(SchemaError::Newer { theirs, ours: last });
    }
    for (version, checksum, success) in &applied {
        if !success {
            return Err(SchemaError::Unfinished(*version));
        }
        if ours.get(version).is_some_and(|expected| *expected != checksum.as_slice()) {
            return Err(SchemaError::Changed(*version));
        }
    }
    let missing: Vec<i64> =
        ours.keys().copied().filter(|version| !applied.iter().any(|row| row.0 == *version)).collect();
    match missing.first() {
        Some(first) => Err(SchemaError::Older { missing: missing.len(), first: *first }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(i64, &[u8]); 3] = [(1, b"a"), (2, b"b"), (4, b"d")];

    fn of(applied: &[(i64, &[u8], bool)]) -> Result<(), SchemaError> {
        let applied = applied.iter().map(|(version, checksum, success)| (*version, checksum.to_vec(), *success));
        compare(applied.collect(), OURS.into_iter())
    }

    #[test]
    fn a_schema_is_older_newer_another_builds_or_ours() {
        let all: [(i64, &[u8], bool); 3] = [(1, b"a", true), (2, b"b", true), (4, b"d", true)];
        assert!(of(&all).is_ok());
        assert!(matches!(of(&all[..1]), Err(SchemaError::Older { missing: 2, first: 2 })));
        assert!(matches!(of(&[all[0], all[2]]), Err(SchemaError::Older { missing: 1, first: 2 })));
        assert!(matches!(of(&[]), Err(SchemaError::Older { missing: 3, first: 1 })));
        let newer = [all[0], all[1], all[2], (7, b"x".as_slice(), true), (9, b"y", true)];
        assert!(matches!(of(&newer), Err(SchemaError::Newer { theirs: 9, ours: 4 })));
        // Also where a newer one came in between, and where it lacks one of ours.
        assert!(matches!(of(&[all[0], (3, b"c", true)]), Err(SchemaError::Newer { theirs: 3, ours: 4 })));
        assert!(matches!(of(&[all[0], (2, b"B", true), all[2]]), Err(SchemaError::Changed(2))));
        assert!(matches!(of(&[all[0], all[1], (4, b"d", false)]), Err(SchemaError::Unfinished(4))));
    }
}
