//! The world that outlives every process of a crash test: the database, the files, the mailbox, the model, the clock.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atelier_commands::ports::{
    AvatarKey, Clock, ExportKey, GatewayError, Generator, Mail, Mailer, MediaKey, MediaObject, MediaStore, Pieces,
    Ports, RenderError, RenderRequest, Rendered, Stored, Things,
};
use atelier_domain::{AccountId, AvatarId, GenerationId};
use atelier_gateways::{ImageSquares, Mailbox, MediaFolder, Nowhere, StudioDemo};
use atelier_server::system::{SystemClock, SystemRandom};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use super::steps::{Side, Steps};
use crate::harness::TestDatabase;
use crate::harness::process::until;

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the model does with whoever asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Draws.
    Draws,
    /// Refuses for good.
    Refuses,
    /// Does not answer, until it does something else.
    IsSilent,
    /// Never answers who asks it now, whatever it does later.
    NeverAnswers,
}

/// What the post does with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Brings it.
    Delivers,
    /// Thinks about it, until it does something else.
    Waits,
    /// Is closed today.
    Fails,
    /// Will never take it.
    Refuses,
}

/// What is there before and after each process.
pub struct World {
    pub database: TestDatabase,
    pub data: TempDir,
    pub model: watch::Sender<Model>,
    pub post: watch::Sender<Carrier>,
    /// How many wait for a silent model's answer.
    pub waiting: watch::Sender<usize>,
    sent: Arc<Mutex<Vec<String>>>,
    ahead: Arc<AtomicI64>,
}

impl World {
    /// An empty one.
    pub async fn open() -> Self {
        let database = TestDatabase::fresh().await;
        // Time passes for its people while it stands still for the database.
        let mut owner = PgConnection::connect(&database.owner_url).await.expect("the owner connects");
        owner.execute("alter table events disable trigger events_decided_in_time").await.expect("the owner may");
        Self {
            database,
            data: TempDir::new().expect("a temporary folder"),
            model: watch::Sender::new(Model::Draws),
            post: watch::Sender::new(Carrier::Delivers),
            waiting: watch::Sender::new(0),
            sent: Arc::default(),
            ahead: Arc::default(),
        }
    }

    /// The world as one process reaches it.
    pub fn ports(&self, steps: &Arc<Steps>) -> Ports {
        let steps = || steps.clone();
        let mailbox = self.mailbox();
        let media = MediaFolder::open(&self.data.path().join("media")).expect("a folder");
        Ports {
            clock: Arc::new(Ahead(self.ahead.clone())),
            random: Arc::new(SystemRandom),
            mailer: Arc::new(Post { mailbox, steps: steps(), sent: self.sent.clone(), does: self.post.subscribe() }),
            generator: Arc::new(Painter {
                demo: StudioDemo::per_core(),
                steps: steps(),
                model: self.model.subscribe(),
                waiting: self.waiting.clone(),
                ahead: self.ahead.clone(),
            }),
            media: Arc::new(Files { media, steps: steps() }),
            google: None,
            places: Arc::new(Nowhere),
            avatars: Arc::new(ImageSquares::default()),
        }
    }

    /// What its people read.
    pub fn mailbox(&self) -> Mailbox {
        Mailbox::open(&self.data.path().join("mailbox")).expect("a folder")
    }

    /// The ids of the mails handed over, each as often as it was.
    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything is stored for a job.
    pub fn has_files(&self, account: AccountId, job: &str) -> bool {
        self.data.path().join("media").join(account.to_string()).join(job).exists()
    }

    /// Whether this object is stored.
    pub fn has_object(&self, object: &str) -> bool {
        self.data.path().join("media").join(object).is_file()
    }

    /// The clock goes on by this.
    pub fn wait(&self, time: TimeDelta) {
        self.ahead.fetch_add(time.num_seconds(), Ordering::SeqCst);
    }

    /// Waits until this many have asked a model that does not answer.
    pub async fn until_waiting(&self, count: usize) {
        let mut waiting = self.waiting.subscribe();
        let reached = timeout(PATIENCE, waiting.wait_for(|waiting| *waiting >= count)).await;
        reached.expect("the model is asked").expect("the world lasts");
    }

    /// Runs SQL as an operator would.
    pub async fn sql(&self, sql: &str) -> u64 {
        sqlx::query(sql).execute(&self.database.pool).await.expect("the database answers").rows_affected()
    }

    /// Whether the managers have seen everything and nothing but renders is left to do.
    pub async fn is_idle_but_for_renders(&self) -> bool {
        let idle = "select not exists (select from checkpoints \
                where state <> 'stopped' and name = any($1) and position < (select max(position) from events)) \
             and not exists (select from process_work where lane <> 'render' and (due_at <= clock_timestamp() or leased_until > clock_timestamp()))";
        let managers = &["GenerationCharge", "SecurityNotifier", "Notifier", "Welcome", "ExpirySweep"][..];
        sqlx::query_scalar(idle).bind(managers).fetch_one(&self.database.pool).await.expect("the database answers")
    }

    /// The leases of the dead run out, and what was put off is due: time passes for all but timers.
    pub async fn time_passes(&self) {
        self.sql("update process_work set leased_until = now() - interval '1 second' where leased_until is not null")
            .await;
        self.sql("update process_work set due_at = now() where due_at > now() and lane <> 'timer' and state <> 'dead'")
            .await;
    }

    /// The timers of this kind are due; how many there were.
    pub async fn fire(&self, kind: &str) -> u64 {
        let due = sqlx::query("update process_work set due_at = now() where lane = 'timer' and payload->>'kind' = $1");
        due.bind(kind).execute(&self.database.pool).await.expect("the database answers").rows_affected()
    }

    /// Waits until there are so many timers of this kind: one that a job's start asks for comes a moment after it.
    pub async fn until_timers(&self, kind: &str, number: u64) {
        let wait = "select count(*) from process_work where lane = 'timer' and payload->>'kind' = $1";
        until("the timers", async || {
            let wait = sqlx::query_scalar(wait).bind(kind).fetch_one(&self.database.pool).await;
            let wait: i64 = wait.expect("the database answers");
            (u64::try_from(wait) == Ok(number)).then_some(())
        })
        .await;
    }

    /// Fires the timers of this kind once there are so many.
    pub async fn fire_each(&self, kind: &str, number: u64) {
        self.until_timers(kind, number).await;
        assert_eq!(self.fire(kind).await, number);
    }
}

/// The machine's clock and what has been added to it: a picture seems to take a minute.
struct Ahead(Arc<AtomicI64>);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.0.load(Ordering::SeqCst))
    }
}

struct Post {
    mailbox: Mailbox,
    steps: Arc<Steps>,
    sent: Arc<Mutex<Vec<String>>>,
    does: watch::Receiver<Carrier>,
}

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: Mail) -> Result<(), GatewayError> {
        self.steps.pass(Side::Before, "mail").await;
        let id = mail.message_id.clone();
        match *self.does.clone().wait_for(|does| *does != Carrier::Waits).await.expect("the world outlives it") {
            Carrier::Delivers | Carrier::Waits => {}
            Carrier::Fails => return Err(GatewayError::Unavailable("closed today".to_owned())),
            Carrier::Refuses => return Err(GatewayError::Refused("no such place".to_owned())),
        }
        self.mailbox.send(mail).await?;
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.steps.pass(Side::After, "mail").await;
        Ok(())
    }
}

struct Painter {
    demo: StudioDemo,
    steps: Arc<Steps>,
    model: watch::Receiver<Model>,
    waiting: watch::Sender<usize>,
    ahead: Arc<AtomicI64>,
}

#[async_trait]
impl Generator for Painter {
    async fn render(&self, request: RenderRequest) -> Result<Rendered, RenderError> {
        self.steps.pass(Side::Before, "render").await;
        let asked = *self.model.borrow();
        self.waiting.send_modify(|waiting| *waiting += 1);
        if asked == Model::NeverAnswers {
            std::future::pending::<()>().await;
        }
        let does = *self.model.clone().wait_for(|does| *does != Model::IsSilent).await.expect("the world outlives it");
        self.ahead.fetch_add(61, Ordering::SeqCst);
        let drawn = match does {
            Model::Refuses => Err(RenderError::Refused("refused")),
            Model::Draws | Model::IsSilent | Model::NeverAnswers => self.demo.render(request).await,
        };
        self.steps.pass(Side::After, "render").await;
        drawn
    }
}

struct Files {
    media: MediaFolder,
    steps: Arc<Steps>,
}

#[async_trait]
impl MediaStore for Files {
    async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.steps.pass(Side::Before, "put").await;
        self.media.put(key, bytes).await?;
        self.steps.pass(Side::After, "put").await;
        Ok(())
    }

    async fn find(&self, object: &MediaObject) -> Result<Option<Stored>, GatewayError> {
        self.media.find(object).await
    }

    async fn read(&self, object: &MediaObject, range: Range<u64>) -> Result<Option<Pieces>, GatewayError> {
        self.media.read(object, range).await
    }

    async fn delete_generation(&self, account: AccountId, generation: GenerationId) -> Result<(), GatewayError> {
        self.steps.pass(Side::Before, "remove").await;
        self.media.delete_generation(account, generation).await?;
        self.steps.pass(Side::After, "remove").await;
        Ok(())
    }

    async fn put_avatar(&self, key: AvatarKey, bytes: Bytes) -> Result<(), GatewayError> {
        self.media.put_avatar(key, bytes).await
    }

    async fn delete_avatar(&self, account: AccountId, avatar: AvatarId) -> Result<(), GatewayError> {
        self.media.delete_avatar(account, avatar).await
    }

    async fn put_export(&self, key: ExportKey, pieces: Pieces) -> Result<u64, GatewayError> {
        self.media.put_export(key, pieces).await
    }

    async fn delete_export(&self, key: ExportKey) -> Result<(), GatewayError> {
        self.media.delete_export(key).await
    }

    fn things(&self) -> Things {
        self.media.things()
    }

    async fn delete_account(&self, account: AccountId) -> Result<(), GatewayError> {
        self.steps.pass(Side::Before, "remove all").await;
        self.media.delete_account(account).await?;
        self.steps.pass(Side::After, "remove all").await;
        Ok(())
    }
}
