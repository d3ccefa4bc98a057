//! Whether a keys folder is the one that the database was made with. A node with another one would find nobody, and would seal what is
//! new with keys that no backup of this database has.
//!
//! The database remembers a fingerprint of each version of the server's keys (`key_fingerprints`). The first node of a fresh database
//! makes the keys and then remembers them: a death in between leaves a folder whose fingerprints the next start writes.

use std::io;
use std::path::{Path, PathBuf};

use atelier_domain::AccountId;
use atelier_vault::{KeyFingerprint, KeyStoreError, Vault, key_fingerprints};
use sqlx::PgPool;

/// How many of the oldest and of the newest accounts are looked at.
const SAMPLE: i64 = 4;
/// How many keys are looked up in the log by one statement.
const ORPHANS: usize = 10_000;

/// Why a keys folder is not used with a database.
#[derive(Debug, thiserror::Error)]
pub enum KeysMismatch {
    /// It has none of the server's keys, and the database was made with some.
    #[error(
        "there are no keys in {}, and the database holds data that was sealed with some: restore the backup of the keys folder to there, or \
         name the data folder that has it with --data (ATELIER_DATA); nothing was changed", .folder.display()
    )]
    Empty {
        /// The keys folder.
        folder: PathBuf,
    },
    /// Its keys are other ones.
    #[error(
        "the keys in {} are not those of this database: put the keys folder of this database there, name the data folder that has it with \
         --data (ATELIER_DATA), or name the database that these keys belong to", .folder.display()
    )]
    Other {
        /// The keys folder.
        folder: PathBuf,
    },
    /// The server's keys are right, and no account that was looked at has keys in the folder that can be read.
    #[error(
        "the keys of the database's accounts are not in {}, or were wrapped with another key: restore the whole folder, with accounts and kek, \
         from one backup", .folder.display()
    )]
    NoAccounts {
        /// The keys folder.
        folder: PathBuf,
    },
    /// The folder cannot be read.
    #[error("the keys folder {} cannot be used: {cause}", .folder.display())]
    Io {
        /// The keys folder.
        folder: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The database failed.
    #[error("the database cannot be used: {0}")]
    Sql(#[from] sqlx::Error),
}

async fn remembered(pool: &PgPool) -> Result<Vec<(String, i32, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("select name, version, fingerprint from key_fingerprints").fetch_all(pool).await
}

fn read(folder: &Path) -> Result<Vec<KeyFingerprint>, KeysMismatch> {
    key_fingerprints(folder).map_err(|cause| KeysMismatch::Io { folder: folder.to_owned(), cause })
}

/// Whether the folder may be used with the database, before anything is made in it.
///
/// # Errors
/// A [`KeysMismatch`].
pub async fn check(pool: &PgPool, folder: &Path) -> Result<(), KeysMismatch> {
    let (known, found) = (remembered(pool).await?, read(folder)?);
    if known.is_empty() {
        // A fresh database, or one of a release that did not remember: then it has keys already, as it has accounts.
        let used = sqlx::query_scalar::<_, bool>("select exists (select from events where aggregate_type = 'Account')");
        if found.is_empty() && used.fetch_one(pool).await? {
            return Err(KeysMismatch::Empty { folder: folder.to_owned() });
        }
        return Ok(());
    }
    if found.is_empty() {
        return Err(KeysMismatch::Empty { folder: folder.to_owned() });
    }
    // Newer versions may have come and older ones gone; of each key one version at least is a known one, and none is another.
    let mut names: Vec<&str> = known.iter().map(|row| row.0.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let matches = |name: &str| {
        let ours = found.iter().filter(|ours| ours.name == name);
        let verdicts: Vec<bool> = ours
            .filter_map(|ours| {
                let same = known.iter().find(|row| row.0 == name && u32::try_from(row.1) == Ok(ours.version))?;
                Some(same.2 == ours.fingerprint)
            })
            .collect();
        !verdicts.is_empty() && verdicts.into_iter().all(|same| same)
    };
    if names.into_iter().all(matches) { Ok(()) } else { Err(KeysMismatch::Other { folder: folder.to_owned() }) }
}

/// Remembers the folder's keys, which are open by now, and looks again: another node may have begun with others at the same time.
///
/// # Errors
/// A [`KeysMismatch`].
pub async fn remember(pool: &PgPool, folder: &Path) -> Result<(), KeysMismatch> {
    let known = remembered(pool).await?;
    for KeyFingerprint { name, version, fingerprint } in read(folder)? {
        let Ok(version) = i32::try_from(version) else { continue };
        if known.iter().any(|row| row.0 == name && row.1 == version) {
            continue;
        }
        let insert =
            "insert into key_fingerprints (name, version, fingerprint) values ($1, $2, $3) on conflict do nothing";
        sqlx::query(insert).bind(name).bind(version).bind(fingerprint.as_slice()).execute(pool).await?;
    }
    check(pool, folder).await
}

/// How many of the database's oldest and newest accounts were looked at, and how many have no keys in the folder that can be read.
/// Keys of erased accounts leave a tombstone, which counts as readable.
///
/// # Errors
/// When the database or the folder failed.
pub async fn sample(pool: &PgPool, folder: &Path, vault: &Vault) -> Result<(usize, usize), KeysMismatch> {
    let accounts: Vec<String> = sqlx::query_scalar(
        "(select aggregate_id from events where aggregate_type = 'Account' and sequence = 1 order by aggregate_id limit $1) union \
         (select aggregate_id from events where aggregate_type = 'Account' and sequence = 1 order by aggregate_id desc limit $1)",
    )
    .bind(SAMPLE)
    .fetch_all(pool)
    .await?;
    let mut unreadable = 0;
    for account in &accounts {
        let Ok(account) = account.parse::<AccountId>() else { continue };
        match vault.store().load(account).await {
            Ok(_) => {}
            Err(KeyStoreError::Io(cause)) => return Err(KeysMismatch::Io { folder: folder.to_owned(), cause }),
            Err(_) => unreadable += 1,
        }
    }
    Ok((accounts.len(), unreadable))
}

/// How many accounts have keys in the folder and no event in the log.
///
/// # Errors
/// When the database or the folder failed.
pub async fn orphans(pool: &PgPool, vault: &Vault) -> Result<i64, String> {
    let accounts = vault.store().accounts().await.map_err(|error| error.to_string())?;
    let mut orphans = 0;
    for page in accounts.chunks(ORPHANS) {
        let page: Vec<String> = page.iter().map(ToString::to_string).collect();
        let count = "select count(*) from unnest($1::text[]) as k (id) where not exists (select from events e \
                     where e.aggregate_type = 'Account' and e.aggregate_id = k.id and e.sequence = 1)";
        let count: Result<i64, _> = sqlx::query_scalar(count).bind(page).fetch_one(pool).await;
        orphans += count.map_err(|error| error.to_string())?;
    }
    Ok(orphans)
}

/// Whether accounts of the database have their keys in the folder.
///
/// # Errors
/// `NoAccounts` when none of those that were looked at has; some without are a warning, because the others can be served.
pub async fn check_accounts(pool: &PgPool, folder: &Path, vault: &Vault) -> Result<(), KeysMismatch> {
    let (looked_at, unreadable) = sample(pool, folder, vault).await?;
    if unreadable == 0 {
        return Ok(());
    }
    if unreadable == looked_at {
        return Err(KeysMismatch::NoAccounts { folder: folder.to_owned() });
    }
    tracing::error!(
        looked_at,
        unreadable,
        "accounts have no keys that can be read: was the keys folder restored from an older backup than the database?"
    );
    Ok(())
}
