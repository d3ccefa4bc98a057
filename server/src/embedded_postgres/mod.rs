//! A private PostgreSQL under the data folder, for `atelier serve` without `DATABASE_URL`, tests and benchmarks (DESIGN 8).

mod account;
mod cluster;
mod databases;
mod error;
mod folder;
mod log_file;
mod programs;
mod running;
mod settings;
mod supervision;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{Cluster, PAUSE, Postmaster, START_LIMIT, STOP_LIMIT, SUPERUSER};
use folder::Place;
use log_file::LogTrimmer;
use tokio_postgres::Client;

pub use databases::{APPLICATION_ROLE, DATABASE, OWNER_ROLE};
pub use error::EmbeddedError;
pub use programs::find_programs;
pub use running::RunningPostgres;

/// How to run the private server.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Where everything is kept, such as `data/postgres`; made if absent.
    pub folder: PathBuf,
    /// Every commit is on the disk before it is answered. False only in tests that say so: then a killed server forgets its last
    /// commits, even when the machine lives on.
    pub durable: bool,
    /// More settings of `postgresql.conf`; those that keep the database durable and private cannot be changed.
    pub extra_settings: Vec<(String, String)>,
}

/// A running private PostgreSQL, owned by this process.
///
/// Dropping it without [`EmbeddedPostgres::stop`] gives the folder free and leaves the server running, as a kill of this process
/// does; the next start of the same folder adopts it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    postmaster: Postmaster,
    cluster: Cluster,
    // Fields drop in this order: the lock goes last.
    _trimmer: LogTrimmer,
    place: Place,
}

impl EmbeddedPostgres {
    /// Takes the folder, makes the data if there is none, adopts its live server or starts one, and ensures the roles
    /// [`OWNER_ROLE`] and [`APPLICATION_ROLE`] and the database [`DATABASE`].
    ///
    /// # Errors
    /// An [`EmbeddedError`] whose sentence says what to do. A server that was started before the error is left to the next start.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let EmbeddedOptions { folder, durable, extra_settings } = options;
        settings::check(&extra_settings)?;
        let (place, programs) = blocking(move || {
            let place = Place::claim(&folder)?;
            let version = cluster::version_of_data(&place.base)?;
            let programs = programs::choose(programs::installed(), version.map(|v| (place.base.as_path(), v)))?;
            Ok((place, programs))
        })
        .await?;
        let cluster = Cluster::new(programs, place.account.clone(), place.base.clone(), durable, extra_settings);
        cluster.initialise().await?;
        let postmaster = match adopt(&cluster).await? {
            Some(postmaster) => postmaster,
            None => start_anew(&cluster, &place.base).await?,
        };
        let client = databases::connect(&postmaster).await?;
        databases::check_data_directory(&client, cluster.data()).await?;
        databases::ensure_basics(&client).await?;
        let trimmer = LogTrimmer::start(cluster.log());
        Ok(Self { postmaster, cluster, _trimmer: trimmer, place })
    }

    /// Whether a folder holds a private PostgreSQL, running or not. Nothing is made or locked.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn exists(folder: &Path) -> Result<bool, EmbeddedError> {
        Ok(folder::cluster_under(&Self::base(folder)?).exists())
    }

    /// Where a folder's PostgreSQL keeps its files, or would: in it, or where its pointer says. Nothing is made.
    ///
    /// # Errors
    /// When the pointer cannot be read.
    pub fn base(folder: &Path) -> Result<PathBuf, EmbeddedError> {
        Ok(folder::read_pointer(folder)?.unwrap_or_else(|| folder.to_owned()))
    }

    /// A `postgres://` URL over the private socket, readable by sqlx and tokio-postgres. It holds no password: the socket's
    /// folder is closed to others.
    pub fn url(&self, user: &str, database: &str) -> String {
        databases::url(&self.postmaster, user, database)
    }

    /// The same as the superuser.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// PostgreSQL's own data folder. Its parent holds the log, `postgres.log`.
    pub fn data_directory(&self) -> &Path {
        self.cluster.data()
    }

    /// Sentences the operator should read, such as where the data is when it is not where it was asked for.
    pub fn notices(&self) -> &[String] {
        &self.place.notices
    }

    /// The process id of the server that was found or made at the start, for crash tests.
    pub fn postmaster_pid(&self) -> u32 {
        self.postmaster.pid
    }

    /// Makes a database owned by [`OWNER_ROLE`] if there is none with this name.
    ///
    /// # Errors
    /// `UnusableName` unless the name is a-z, 0-9 and _; `Sql` when the server refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<(), EmbeddedError> {
        databases::ensure(&self.connect().await?, name).await
    }

    /// Makes a new database as a copy of another one, to which nobody may be connected.
    ///
    /// # Errors
    /// `UnusableName` unless both names are a-z, 0-9 and _; `Sql` when the server refuses.
    pub async fn create_database_from_template(&self, name: &str, template: &str) -> Result<(), EmbeddedError> {
        databases::copy(&self.connect().await?, name, template).await
    }

    /// Ends all connections, stops the server and waits for it; then gives the folder free.
    ///
    /// # Errors
    /// When the server does not stop in its time; it is then adopted by the next start.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        self.stop_in(STOP_LIMIT).await
    }

    /// The same for whoever has little time: what does not stop in order within so long stops at once, and recovers at its next start.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn stop_in(self, in_order: Duration) -> Result<(), EmbeddedError> {
        self.cluster.stop(in_order).await?;
        // Kept when something else is in it; then it is used again.
        std::fs::remove_dir(&self.postmaster.socket).ok();
        Ok(())
    }

    async fn connect(&self) -> Result<Client, EmbeddedError> {
        databases::connect(&self.postmaster).await
    }
}

/// The live server of this data, if there is one with our settings; one with other settings is stopped, so that a server started
/// for a test without fsync never serves anyone else.
async fn adopt(cluster: &Cluster) -> Result<Option<Postmaster>, EmbeddedError> {
    let deadline = tokio::time::Instant::now() + START_LIMIT;
    while cluster.is_running().await? {
        let found = cluster.postmaster();
        if let Some(postmaster) = &found {
            if let Ok(client) = databases::connect(postmaster).await {
                databases::check_data_directory(&client, cluster.data()).await?;
                if cluster.has_our_settings(&postmaster.socket) {
                    return Ok(found);
                }
                cluster.stop(STOP_LIMIT).await?;
                continue;
            }
            if cluster.remove_recycled(postmaster.pid)? {
                continue;
            }
        }
        // It is starting, recovering or stopping.
        if tokio::time::Instant::now() >= deadline {
            let pid = found.map_or(0, |postmaster| postmaster.pid);
            return Err(EmbeddedError::Unreachable { pid, data: cluster.data().to_owned() });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

async fn start_anew(cluster: &Cluster, base: &Path) -> Result<Postmaster, EmbeddedError> {
    log_file::trim(&cluster.log(), log_file::LIMIT)?;
    let (base, account) = (base.to_owned(), cluster.account().clone());
    let socket = blocking(move || folder::socket_folder(&base, &account)).await?;
    cluster.start(&socket).await?;
    cluster.postmaster().ok_or_else(|| EmbeddedError::Unreachable { pid: 0, data: cluster.data().to_owned() })
}

/// Runs file and process work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    tokio::task::spawn_blocking(work).await.expect("the closures given here do not panic and are not aborted")
}
