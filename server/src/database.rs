//! The database of a node: the operator's, or a private PostgreSQL under the data folder; migrated before use.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::embedded_postgres::{
    APPLICATION_ROLE, DATABASE, EmbeddedError, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE, RunningPostgres,
};
use crate::last_restart::LastRestart;
use crate::schema_version::{self, SchemaError};

/// The numbered SQL files, compiled in.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The private PostgreSQL did not start.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The database could not be reached.
    #[error("the database cannot be used: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema is not this release's.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Only the owner's URL was given.
    #[error(
        "ATELIER_OWNER_URL is for migrations alone, and DATABASE_URL is missing: set it to the URL of the application's role, atelier_app"
    )]
    OwnerOnly,
    /// No private database was ever made.
    #[error("there is no studio in {}: start atelier serve first, or name another folder with --data", .data.display())]
    NoStudio {
        /// The data folder.
        data: PathBuf,
    },
}

/// A node's database.
pub struct Database {
    embedded: Option<EmbeddedPostgres>,
    /// The application's URL.
    pub url: String,
    owner_url: Option<String>,
    last_restart: Arc<LastRestart>,
}

impl Database {
    fn of(embedded: Option<EmbeddedPostgres>, url: String, owner_url: Option<String>) -> Self {
        Self { embedded, url, owner_url, last_restart: Arc::default() }
    }

    /// Finds or starts the database.
    ///
    /// # Errors
    /// When the private PostgreSQL does not start, or only the owner's URL is there.
    pub async fn open(config: &Config) -> Result<Self, DatabaseError> {
        if let Some(url) = &config.database_url {
            return Ok(Self::of(None, url.clone(), config.owner_url.clone()));
        }
        if config.owner_url.is_some() {
            return Err(DatabaseError::OwnerOnly);
        }
        let options = EmbeddedOptions { folder: postgres_folder(config), durable: true, extra_settings: Vec::new() };
        let embedded = EmbeddedPostgres::start(options).await?;
        for notice in embedded.notices() {
            tracing::info!("{notice}");
        }
        let (url, owner_url) = (embedded.url(APPLICATION_ROLE, DATABASE), embedded.url(OWNER_ROLE, DATABASE));
        Ok(Self::of(Some(embedded), url, Some(owner_url)))
    }

    /// The same for `atelier migrate`, which needs the owner's URL alone and takes the application's when that is all there is.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_for_migration(config: &Config) -> Result<Self, DatabaseError> {
        match config.owner_url.as_ref().or(config.database_url.as_ref()) {
            Some(url) => Ok(Self::of(None, url.clone(), Some(url.clone()))),
            None => Self::open(config).await,
        }
    }

    /// The same for a command beside running nodes: a private database that belongs to a running node is used and left alone, and none
    /// is made.
    ///
    /// # Errors
    /// When there is none, or the node's does not answer.
    pub async fn open_beside(config: &Config) -> Result<Self, DatabaseError> {
        if config.database_url.is_none()
            && config.owner_url.is_none()
            && !EmbeddedPostgres::exists(&postgres_folder(config))?
        {
            return Err(DatabaseError::NoStudio { data: config.data.clone() });
        }
        match Self::open(config).await {
            Err(DatabaseError::Embedded(EmbeddedError::InUse { folder })) => {
                let running = RunningPostgres::find(&folder).await?;
                let url = |role| running.url(role, DATABASE);
                Ok(Self::of(None, url(APPLICATION_ROLE), Some(url(OWNER_ROLE))))
            }
            opened => opened,
        }
    }

    /// Makes sure that the schema is this release's: by migrating as the owner, or by looking when the owner's URL is not there.
    ///
    /// # Errors
    /// When a migration fails (earlier ones stand), or the schema is another release's.
    pub async fn prepare(&self) -> Result<(), DatabaseError> {
        match &self.owner_url {
            Some(url) => migrate(url).await,
            None => check_schema(&self.url).await,
        }
    }

    /// Looks after the private PostgreSQL: starts it again whenever it has died, so that the node's connections find it where it was.
    /// Returns when told to stop, and never for a database that is not ours.
    ///
    /// # Errors
    /// When it cannot be started again.
    pub async fn keep_running(&self, stop: &CancellationToken) -> Result<(), DatabaseError> {
        match &self.embedded {
            Some(embedded) => Ok(embedded.keep_running(|| self.last_restart.now(), stop).await?),
            None => {
                stop.cancelled().await;
                Ok(())
            }
        }
    }

    /// Takes over the work a killed node was at. Only of a private database, whose folder's lock says that no other node lives;
    /// in a shared one the leases run out by themselves.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn take_over_work(&self, pool: &PgPool) -> Result<(), DatabaseError> {
        if self.embedded.is_some() {
            sqlx::query("update process_work set leased_until = null where leased_until > now()").execute(pool).await?;
        }
        Ok(())
    }

    /// The application's pool.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn pool(&self, connections: u32) -> Result<PgPool, DatabaseError> {
        Ok(pool_since(&self.url, connections, self.last_restart.clone()).await?)
    }

    /// Stops the private PostgreSQL, if it is one.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop(self) -> Result<(), DatabaseError> {
        match self.embedded {
            Some(embedded) => Ok(embedded.stop().await?),
            None => Ok(()),
        }
    }

    /// The same for whoever has so much time left: half of it for a stop in order, the rest for one at once.
    ///
    /// # Errors
    /// When it does not stop.
    pub async fn stop_in(self, left: Duration) -> Result<(), DatabaseError> {
        match self.embedded {
            Some(embedded) => Ok(embedded.stop_in(left / 2).await?),
            None => Ok(()),
        }
    }
}

/// Where the private PostgreSQL is, or would be.
fn postgres_folder(config: &Config) -> PathBuf {
    config.data.join("postgres")
}

/// Brings a database's schema up to date, as its owner.
///
/// # Errors
/// When a migration fails (earlier ones stand), or a newer release has migrated the database.
pub async fn migrate(owner_url: &str) -> Result<(), DatabaseError> {
    let mut connection = quiet(owner_url)?.connect().await?;
    match schema_version::check(&mut connection, &MIGRATIONS).await {
        // Its own words for these say a number and nothing else.
        Err(SchemaError::Newer { theirs, ours }) => return Err(SchemaError::Newer { theirs, ours }.into()),
        Err(SchemaError::Changed(version)) => return Err(SchemaError::Changed(version).into()),
        _ => MIGRATIONS.run(&mut connection).await?,
    }
    connection.close().await?;
    Ok(())
}

/// Whether a database's schema is this release's; nothing is changed.
///
/// # Errors
/// When it is another one's, in a sentence that says what to do.
pub async fn check_schema(url: &str) -> Result<(), DatabaseError> {
    let mut connection = quiet(url)?.connect().await?;
    let checked = schema_version::check(&mut connection, &MIGRATIONS).await;
    connection.close().await?;
    Ok(checked?)
}

/// A pool of the application's role.
///
/// # Errors
/// When the database cannot be reached.
pub async fn pool(url: &str, connections: u32) -> Result<PgPool, sqlx::Error> {
    pool_since(url, connections, Arc::default()).await
}

async fn pool_since(url: &str, connections: u32, restarted: Arc<LastRestart>) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        // The ping before each use costs 13-28 % (DESIGN 2); a dead connection shows at its first statement.
        .test_before_acquire(false)
        // Those of a private PostgreSQL that died are known to be dead.
        .before_acquire(move |_, metadata| {
            let alive = restarted.is_before(metadata.age);
            Box::pin(async move { Ok(alive) })
        })
        .connect_with(quiet(url)?)
        .await
}

/// Statements are not logged: their values may be anything.
fn quiet(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    if names_several_hosts(url) {
        return Err(sqlx::Error::Configuration(
            "the database's URL names several hosts, and sqlx takes one: give the address of something that leads to the leader, such as \
             HAProxy (docs/high-availability.md)"
                .into(),
        ));
    }
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging())
}

/// Whether a URL lists hosts as libpq allows, between the user and the path or as a parameter. A password may have commas of its own.
fn names_several_hosts(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = before.split('/').next().unwrap_or_default();
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    hosts.contains(',')
        || parameters.any(|(key, value)| matches!(key.as_ref(), "host" | "hostaddr" | "port") && value.contains(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_taken_and_several_are_refused_in_words() {
        for (url, refused) in [
            ("postgres://atelier_app@db:5432/atelier", false),
            ("postgres://atelier_app:a,b@db/atelier?application_name=a,b", false),
            ("postgres://atelier_app@%2Ftmp%2Fx:5432/atelier", false),
            ("postgres://atelier_app@one,two/atelier", true),
            ("postgres://atelier_app@one:5432,two:5432/atelier", true),
            ("postgres:///atelier?host=one,two", true),
            ("postgres:///atelier?host=one%2Ctwo&port=1", true),
            ("postgres:///atelier?hostaddr=127.0.0.1,127.0.0.2", true),
        ] {
            let said = quiet(url).err().map(|error| error.to_string());
            assert_eq!(said.as_ref().is_some_and(|said| said.contains("several hosts")), refused, "{url}: {said:?}");
        }
    }
}
