//! The database of a node: the operator's, or a private PostgreSQL under the data folder; migrated before use.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::config::Config;
use crate::embedded_postgres::{
    APPLICATION_ROLE, DATABASE, EmbeddedError, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE, RunningPostgres,
};

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
}

/// A node's database.
pub struct Database {
    embedded: Option<EmbeddedPostgres>,
    /// The application's URL.
    pub url: String,
    owner_url: String,
}

impl Database {
    /// Finds or starts the database.
    ///
    /// # Errors
    /// When the private PostgreSQL does not start.
    pub async fn open(config: &Config) -> Result<Self, DatabaseError> {
        if let Some(url) = &config.database_url {
            let owner_url = config.owner_url.clone().unwrap_or_else(|| url.clone());
            return Ok(Self { embedded: None, url: url.clone(), owner_url });
        }
        let options =
            EmbeddedOptions { folder: config.data.join("postgres"), durable: true, extra_settings: Vec::new() };
        let embedded = EmbeddedPostgres::start(options).await?;
        for notice in embedded.notices() {
            tracing::info!("{notice}");
        }
        let (url, owner_url) = (embedded.url(APPLICATION_ROLE, DATABASE), embedded.url(OWNER_ROLE, DATABASE));
        Ok(Self { embedded: Some(embedded), url, owner_url })
    }

    /// The same beside a node that is running: a private database that belongs to it is used and left alone.
    ///
    /// # Errors
    /// When there is none that answers.
    pub async fn open_beside(config: &Config) -> Result<Self, DatabaseError> {
        match Self::open(config).await {
            Err(DatabaseError::Embedded(EmbeddedError::InUse { folder })) => {
                let running = RunningPostgres::find(&folder).await?;
                let url = |role| running.url(role, DATABASE);
                Ok(Self { embedded: None, url: url(APPLICATION_ROLE), owner_url: url(OWNER_ROLE) })
            }
            opened => opened,
        }
    }

    /// Brings the schema up to date, as the owner.
    ///
    /// # Errors
    /// When a migration fails; earlier ones stand.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        migrate(&self.owner_url).await
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
        Ok(pool(&self.url, connections).await?)
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
}

/// Brings a database's schema up to date, as its owner.
///
/// # Errors
/// When a migration fails; earlier ones stand.
pub async fn migrate(owner_url: &str) -> Result<(), DatabaseError> {
    let mut connection = quiet(owner_url)?.connect().await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// A pool of the application's role.
///
/// # Errors
/// When the database cannot be reached.
pub async fn pool(url: &str, connections: u32) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        // The ping before each use costs 13-28 % (DESIGN 2); a dead connection shows at its first statement.
        .test_before_acquire(false)
        .connect_with(quiet(url)?)
        .await
}

/// Statements are not logged: their values may be anything.
fn quiet(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging())
}
