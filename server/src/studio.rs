//! The composition root: hangs adapters on ports, both sides on one database, and the background work on one stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atelier_commands::HeldLocks;
use atelier_commands::activity::SessionActivity;
use atelier_commands::api_policy::ApiPolicy;
use atelier_commands::command_path::CommandPathOptions;
use atelier_commands::event_store::{LinkError, PostgresEventStore, WriterOptions};
use atelier_commands::key_usage::KeyUsage;
use atelier_commands::ports::Ports;
use atelier_commands::process::{
    AccountDeletion, AvatarKeeper, DataExport, Dispatcher, DispatcherOptions, ExpirySweep, GenerationCharge, Notifier,
    SecurityNotifier, StaffFollower, Welcome,
};
use atelier_commands::write_side::AccessSettings;
use atelier_commands::{CommandPath, WriteSide, idempotency, reconciler};
use atelier_log::KnownLog;
use atelier_projections::{Changes, Feed, Projection, ReadModels, Runner, RunnerOptions, models};
use atelier_vault::{BlindIndex, KeyStoreError, Passwords, Secrets, UsernameQuarantine, Vault};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::heard::Ears;
use crate::keys_match::{self, KeysMismatch};
use crate::open_sockets::OpenSockets;
use crate::process_follower::ProcessFollower;

/// The file beside the keys that holds what the node knows of the log.
const KNOWN_LOG: &str = "known_log";
/// How often what a dead process left behind is looked for.
const RECONCILE_EVERY: Duration = Duration::from_secs(60);
/// How long a studio that stops by itself finishes what it began.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// How long the last usage of API keys may take to be written.
const USAGE: Duration = Duration::from_secs(1);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    /// The database failed.
    #[error("the database cannot be used: {0}")]
    Sql(#[from] sqlx::Error),
    /// The database's URL is malformed.
    #[error("the database URL cannot be used: {0}")]
    Url(#[from] LinkError),
    /// The account keys cannot be used.
    #[error("the keys folder {} cannot be used: {cause}", .folder.display())]
    Keys {
        /// The keys folder.
        folder: PathBuf,
        /// The cause.
        cause: KeyStoreError,
    },
    /// A server key cannot be used.
    #[error("the keys folder {} cannot be used: {cause}", .folder.display())]
    ServerKeys {
        /// The keys folder.
        folder: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The keys are not those of the database.
    #[error(transparent)]
    Mismatch(#[from] KeysMismatch),
    /// The outside world cannot be used.
    #[error("{0}")]
    Gateway(#[from] atelier_commands::ports::GatewayError),
}

/// What a node is made of.
pub struct StudioOptions {
    /// The application's database URL.
    pub database_url: String,
    /// Its pool.
    pub pool: PgPool,
    /// Where keys live.
    pub keys: PathBuf,
    /// The outside world.
    pub ports: Ports,
    /// Where links point.
    pub public_url: String,
    /// What a deployment decides about access.
    pub access: AccessSettings,
    /// The append writer's bounds.
    pub writer: WriterOptions,
    /// The runner's bounds.
    pub runner: RunnerOptions,
    /// The dispatcher's bounds.
    pub dispatcher: DispatcherOptions,
    /// What API keys may do.
    pub api: ApiPolicy,
}

/// A node: both sides, and what works in the background.
pub struct Studio {
    /// Where commands go.
    pub write: WriteSide,
    /// Where answers come from.
    pub read: ReadModels,
    /// What the node knows of the log.
    pub log: Arc<KnownLog>,
    /// Follows the log.
    pub runner: Arc<Runner>,
    /// When sessions were last used.
    pub activity: Arc<SessionActivity>,
    /// Who waits for what to change.
    pub changes: Arc<Changes>,
    /// The sockets that are open.
    pub sockets: Arc<OpenSockets>,
    wake: Arc<Notify>,
    dispatcher: DispatcherOptions,
    stop: CancellationToken,
    tasks: TaskTracker,
    stop_writer: CancellationToken,
    writer_tasks: TaskTracker,
}

impl Studio {
    /// Hangs everything together; nothing runs yet but the writer.
    ///
    /// # Errors
    /// When the database, the keys or the outside world cannot be used.
    pub async fn open(options: StudioOptions) -> Result<Self, StudioError> {
        let StudioOptions { database_url, pool, keys, ports, public_url, access, api, writer, runner, dispatcher } =
            options;
        let (stop, stop_writer) = (CancellationToken::new(), CancellationToken::new());
        let (tasks, writer_tasks) = (TaskTracker::new(), TaskTracker::new());
        let opened = open_keys(&pool, &keys, &ports).await?;
        let OpenedKeys { vault, secrets, blind_index, quarantine } = opened;
        let log = KnownLog::kept(pool.clone(), &keys.join(KNOWN_LOG)).await?;
        let store = Arc::new(PostgresEventStore::start_over(
            log.clone(),
            pool.clone(),
            &database_url,
            writer,
            &writer_tasks,
            stop_writer.clone(),
        )?);
        let (clock, random) = (ports.clock.clone(), ports.random.clone());
        let path = CommandPath::with_options(
            store.clone(),
            Some(store),
            vault.clone(),
            clock,
            random,
            &CommandPathOptions::default(),
        );
        let passwords = Passwords::new(ports.random.clone());
        let write = WriteSide {
            path,
            pool: pool.clone(),
            locks: HeldLocks::default(),
            vault: vault.clone(),
            passwords,
            secrets,
            blind_index: blind_index.clone(),
            quarantine,
            ports,
            public_url,
            access,
            api: Arc::new(api),
            usage: KeyUsage::default(),
            clear_keys_until: idempotency::clear_until(&pool).await?,
        };
        let wake = Arc::new(Notify::new());
        let runner =
            Arc::new(Runner::new(pool.clone(), Feed::over(log.clone(), pool.clone()), followers(&wake), runner));
        runner.register().await?;
        let read = ReadModels::open(pool, vault, blind_index, runner.progress(), log.clone()).await?;
        Ok(Self {
            write,
            read,
            log,
            runner,
            activity: Arc::default(),
            changes: Arc::default(),
            sockets: Arc::default(),
            wake,
            dispatcher,
            stop,
            tasks,
            stop_writer,
            writer_tasks,
        })
    }

    /// Starts the background work: the runner, the dispatcher, the reconciler, the notes of when sessions were used.
    pub fn start(&self) {
        self.runner.clone().start(&self.tasks, &self.stop);
        let (log, stop) = (self.log.clone(), self.stop.clone());
        self.tasks.spawn(async move { log.keep(&stop).await });
        let dispatcher = Dispatcher::new(self.write.clone(), self.dispatcher.clone());
        let (wake, head, stop) = (self.wake.clone(), self.runner.head(), self.stop.clone());
        self.tasks.spawn(async move { dispatcher.run(&wake, &head, &stop).await });
        let (write, stop) = (self.write.clone(), self.stop.clone());
        let (vault, pool, until) = (self.write.vault.clone(), self.write.pool.clone(), self.stop.clone());
        let (sockets, changes, wake) = (self.sockets.clone(), self.changes.clone(), self.wake.clone());
        self.tasks.spawn(async move {
            let ears = Ears { vault: &vault, sockets: &sockets, changes: &changes, wake: &wake };
            ears.listen(&pool, &until).await;
        });
        let (changes, runner, until) = (self.changes.clone(), self.runner.clone(), self.stop.clone());
        self.tasks.spawn(async move { changes.follow(&runner, &until).await });
        self.tasks.spawn(async move { reconciler::run(&write, RECONCILE_EVERY, &stop).await });
        let (activity, pool, stop) = (self.activity.clone(), self.write.pool.clone(), self.stop.clone());
        self.tasks.spawn(async move { activity.run(&pool, &stop).await });
        let (write, stop) = (self.write.clone(), self.stop.clone());
        self.tasks.spawn(async move { write.usage.run(&write.pool, &stop).await });
    }

    /// Cancelled when the node stops: what waits for somebody else's work gives up then.
    #[must_use]
    pub const fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether there is nothing left to do: every follower that has not stopped is at the head of the log, no work is due, and none
    /// waits for another attempt after one that failed. Work comes from events and makes events, so this is only true of one instant's
    /// snapshot, and that is what it reads. What is due is told by the clock as the snapshot is read: `now()` is the statement's beginning,
    /// and work that came between the two would count as due later.
    ///
    /// # Errors
    /// When the database failed.
    pub async fn at_rest(&self) -> Result<bool, sqlx::Error> {
        let (names, versions): (Vec<&str>, Vec<i32>) = self.runner.followers().unzip();
        sqlx::query_scalar(
            "select not exists (select from unnest($1::text[], $2::int[]) as f (name, version) join checkpoints c using (name, version) \
             where c.state <> 'stopped' and c.position < (select coalesce(max(position), 0) from events)) \
             and not exists (select from process_work where due_at <= clock_timestamp() or leased_until > clock_timestamp() \
             or (state = 'waiting' and attempts > 0 and last_error is not null))",
        )
        .bind(names)
        .bind(versions)
        .fetch_one(&self.write.pool)
        .await
    }

    /// The same as [`Self::stop_by`], with the time that a node has for both.
    pub async fn stop(&self) -> bool {
        let until = Instant::now() + STOP_PATIENCE;
        self.stop_by(until, until).await
    }

    /// Stops the background work, then the writer: what was accepted is acknowledged first. Each has until an instant; says whether all
    /// of it ended in time.
    pub async fn stop_by(&self, background_until: Instant, writer_until: Instant) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let background = timeout_at(background_until, self.tasks.wait()).await.is_ok();
        // Whatever counted has ended.
        let flushed = timeout_at(Instant::now() + USAGE, self.write.usage.flush(&self.write.pool)).await;
        if let Ok(Err(error)) = &flushed {
            tracing::warn!(%error, "the last usage of API keys could not be written");
        }
        self.stop_writer.cancel();
        self.writer_tasks.close();
        let writer = timeout_at(writer_until, self.writer_tasks.wait()).await.is_ok();
        background && flushed.is_ok() && writer
    }
}

/// Everything that follows the log: the read models, and the process managers; `wake` tells the dispatcher that work may have arrived.
pub fn followers(wake: &Arc<Notify>) -> Vec<Arc<dyn Projection>> {
    let mut followers = models::all();
    followers.push(ProcessFollower::<Welcome>::follow(wake.clone()));
    followers.push(ProcessFollower::<GenerationCharge>::follow(wake.clone()));
    followers.push(ProcessFollower::<ExpirySweep>::follow(wake.clone()));
    followers.push(ProcessFollower::<Notifier>::follow(wake.clone()));
    followers.push(ProcessFollower::<AccountDeletion>::follow(wake.clone()));
    followers.push(ProcessFollower::<SecurityNotifier>::follow(wake.clone()));
    followers.push(ProcessFollower::<AvatarKeeper>::follow(wake.clone()));
    followers.push(ProcessFollower::<StaffFollower>::follow(wake.clone()));
    followers.push(ProcessFollower::<DataExport>::follow(wake.clone()));
    followers
}

/// What is kept in the keys folder, opened.
struct OpenedKeys {
    vault: Vault,
    secrets: Secrets,
    blind_index: BlindIndex,
    quarantine: UsernameQuarantine,
}

/// Opens the keys folder, and makes its keys when both it and the database are new.
async fn open_keys(pool: &PgPool, folder: &Path, ports: &Ports) -> Result<OpenedKeys, StudioError> {
    keys_match::check(pool, folder).await?;
    let failed = |cause| StudioError::ServerKeys { folder: folder.to_owned(), cause };
    let vault = Vault::open_folder(folder, ports.random.clone())
        .map_err(|cause| StudioError::Keys { folder: folder.to_owned(), cause })?;
    let secrets = Secrets::open(folder, ports.random.as_ref()).map_err(failed)?;
    let blind_index = BlindIndex::open(folder, ports.random.as_ref()).map_err(failed)?;
    let quarantine = UsernameQuarantine::open(folder, ports.random.clone()).map_err(failed)?;
    // First, so that a database of a release that did not remember learns no keys but those that open its accounts.
    keys_match::check_accounts(pool, folder, &vault).await?;
    keys_match::remember(pool, folder).await?;
    Ok(OpenedKeys { vault, secrets, blind_index, quarantine })
}
