//! One node: database, studio and HTTP edge, from start to a stop that acknowledges what it accepted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use atelier_commands::UseCaseError;
use atelier_commands::api_policy::ApiPolicy;
use atelier_commands::erasure::erase_what_came_back;
use atelier_commands::event_store::WriterOptions;
use atelier_commands::ports::{Clock, Generator, Mailer, Places, Ports};
use atelier_commands::process::DispatcherOptions;
use atelier_domain::Actor;
use atelier_gateways::{ImageSquares, Mailbox, MediaFolder, Nowhere, PlacesFile, Smtp, StudioDemo};
use atelier_graphql::Sides;
use atelier_graphql::caller::SessionCookie;
use atelier_projections::RunnerOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::clock_watch;
use crate::config::AccessConfig;
use crate::connections::{self, ConnectionLimits};
use crate::graphql_transport::{Limits, SchemaUnreadable, Transport};
use crate::http::{Disks, Edge, Gate, Origins, operations, router};
use crate::metric_texts;
use crate::open_sockets::{self, SocketLimits};
use crate::studio::{Studio, StudioError, StudioOptions};
use crate::system::{SystemClock, SystemRandom};

/// How long open requests may go on after the stop; a waiting `/v1/generate` answers at once.
const ANSWERED: Duration = Duration::from_secs(9);
/// Until when what was begun for clients that are gone may go on, from the stop.
const FINISHED: Duration = Duration::from_secs(12);
/// The same of the background work.
const FOLLOWED: Duration = Duration::from_secs(17);
/// The same of the appends that were accepted.
const WRITTEN: Duration = Duration::from_secs(20);

/// The most connections of operators.
const OPERATORS: usize = 16;

/// How often the counters are tidied.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The studio did not open.
    #[error(transparent)]
    Studio(#[from] StudioError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The outside world cannot be used.
    #[error("{0}")]
    Gateway(#[from] atelier_commands::ports::GatewayError),
    /// What a restored backup brought back could not be erased again (E4).
    #[error("accounts that were erased came back with a backup, and could not be erased again: {0}")]
    Restored(UseCaseError),
    /// The schema cannot be served.
    #[error(transparent)]
    Schema(#[from] SchemaUnreadable),
}

/// What a node is told.
pub struct NodeOptions<'a> {
    /// The application's database URL.
    pub database_url: &'a str,
    /// Its pool.
    pub pool: PgPool,
    /// Where keys, media and mails live.
    pub data: &'a Path,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How clients reach it; made from the bound address when not given.
    pub public_url: Option<String>,
    /// GraphiQL, mailbox page, introspection.
    pub development: bool,
    /// Who gets in, and how.
    pub access: AccessConfig,
    /// The mail server; without it mails stay in the mailbox.
    pub smtp: Option<Smtp>,
    /// What API keys may do.
    pub api: ApiPolicy,
    /// The bounds of sockets.
    pub sockets: SocketLimits,
    /// The bounds of connections.
    pub connections: ConnectionLimits,
    /// The models; the demo renderer draws for all of them when not given.
    pub generator: Option<Arc<dyn Generator>>,
    /// Where operators read counters and the details of readiness; on the listener of clients, too, in development.
    pub operations: Option<TcpListener>,
    /// The folders whose disks are looked at, with a name for each.
    pub disks: Vec<(&'static str, PathBuf)>,
    /// Bytes below which a disk counts as full.
    pub disk_reserve: u64,
    /// The clock; the machine's when not given.
    pub clock: Option<Arc<dyn Clock>>,
}

/// A running node.
pub struct Node {
    /// Both sides.
    pub studio: Studio,
    /// The development mailbox.
    pub mailbox: Mailbox,
    /// Where it listens.
    pub address: SocketAddr,
    stop_http: CancellationToken,
    http: JoinHandle<()>,
    begun: TaskTracker,
}

/// The recorder of this process, made by the first node in it.
fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(metric_texts::install).clone()
}

/// The adapters of a node on one machine: folders for media, and for mails unless there is a mail server; the demo renderer for every
/// model.
///
/// # Errors
/// When a folder, or the file of places, cannot be used.
pub fn ports(
    data: &Path,
    smtp: Option<Smtp>,
    geoip: Option<&Path>,
) -> Result<(Ports, Mailbox), atelier_commands::ports::GatewayError> {
    let mailbox = Mailbox::open(&data.join("mailbox"))?;
    let mailer: Arc<dyn Mailer> = match smtp {
        Some(smtp) => Arc::new(smtp),
        None => Arc::new(mailbox.clone()),
    };
    let places: Arc<dyn Places> = match geoip {
        Some(file) => Arc::new(PlacesFile::open(file)?),
        None => Arc::new(Nowhere),
    };
    let ports = Ports {
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        mailer,
        generator: Arc::new(StudioDemo::per_core()),
        media: Arc::new(MediaFolder::open(&data.join("media"))?),
        google: None,
        places,
        avatars: Arc::new(ImageSquares::default()),
    };
    Ok((ports, mailbox))
}

impl Node {
    /// Opens both sides, starts the background work, and listens.
    ///
    /// # Errors
    /// A [`NodeError`], in one sentence.
    pub async fn start(options: NodeOptions<'_>) -> Result<Self, NodeError> {
        let failed = |cause| NodeError::Listen { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let public_url = options.public_url.unwrap_or_else(|| format!("http://{address}"));
        // First, because counters that are looked up once belong to the recorder of that moment.
        let metrics = metrics();
        let shown = options.smtp.is_none();
        let (mut ports, mailbox) = ports(options.data, options.smtp, options.access.geoip.as_deref())?;
        if let Some(generator) = options.generator {
            ports.generator = generator;
        }
        if let Some(clock) = options.clock {
            ports.clock = clock;
        }
        ports.google = options.access.google.provider(&public_url, ports.clock.clone())?;
        let studio = Studio::open(StudioOptions {
            database_url: options.database_url.to_owned(),
            pool: options.pool,
            keys: options.data.join("keys"),
            ports,
            public_url: public_url.clone(),
            access: options.access.settings(),
            writer: WriterOptions::default(),
            runner: RunnerOptions::default(),
            dispatcher: DispatcherOptions::default(),
            api: options.api,
        })
        .await?;
        // Before anything is decided; a wrong clock does not keep the node from starting, because clocks are put right.
        clock_watch::look(&studio.write).await.map_err(StudioError::from)?;
        let context = studio.write.request_context(Actor::Process("Restored".into()));
        let compared = studio.log.branch();
        erase_what_came_back(&studio.write, &context).await.map_err(NodeError::Restored)?;
        let admission = Arc::new(Admission::of(studio.log.clone(), compared));
        studio.start();
        let sides = Sides { write: studio.write.clone(), read: studio.read.clone(), changes: studio.changes.clone() };
        let (begun, stop_http) = (TaskTracker::new(), CancellationToken::new());
        let edge = Arc::new(Edge {
            write: studio.write.clone(),
            read: studio.read.clone(),
            graphql: Transport::new(atelier_graphql::schema(sides), Limits::default())?,
            gate: Gate::default(),
            mailbox: shown.then(|| mailbox.clone()),
            development: options.development,
            cookie: SessionCookie { secure: public_url.starts_with("https://") },
            origins: Origins::of(&public_url, &options.access),
            proxies: options.access.trusted_proxies,
            unbelieved: Once::new(),
            sockets: studio.sockets.clone(),
            // Sockets may not take the places of everybody else.
            socket_limits: SocketLimits {
                node: options.sockets.node.min(options.connections.most.div_ceil(2)),
                ..options.sockets
            },
            activity: studio.activity.clone(),
            admission: admission.clone(),
            metrics: metrics.clone(),
            disks: Disks::new(options.disks, options.disk_reserve),
            stopping: stop_http.clone(),
            begun: begun.clone(),
        });
        let stopped = stop_http.clone();
        let (upkeep, until) = (metrics, stop_http.clone());
        begun.spawn(async move {
            // Without this the samples of histograms pile up between two scrapes.
            while tokio::time::timeout(UPKEEP, until.cancelled()).await.is_err() {
                upkeep.run_upkeep();
            }
        });
        let (write, until) = (studio.write.clone(), stop_http.clone());
        begun.spawn(async move { admission.watch(&write, &until).await });
        begun.spawn(clock_watch::watch(Arc::new(studio.write.clone()), stop_http.clone()));
        let (write, sockets, changes) = (studio.write.clone(), studio.sockets.clone(), studio.changes.clone());
        let (every, until) = (options.sockets.look, stop_http.clone());
        begun.spawn(async move { open_sockets::look(&write, &sockets, &changes, every, &until).await });
        if let Some(listener) = options.operations {
            let limits = ConnectionLimits { most: OPERATORS, overflow: 1, ..ConnectionLimits::default() };
            begun.spawn(connections::serve(listener, operations(edge.clone()), limits, stop_http.clone()));
        }
        let http = tokio::spawn(connections::serve(listener, router(edge), options.connections, stopped));
        Ok(Self { studio, mailbox, address, stop_http, http, begun })
    }

    /// Takes no new requests, tells those who wait for a job that they wait no longer, answers the open ones, ends the background work, then
    /// the writer. Says whether all of it ended in time: it takes 20 seconds at most.
    pub async fn stop(self) -> bool {
        let begun = Instant::now();
        self.stop_http.cancel();
        let http = timeout_at(begun + ANSWERED, self.http).await.is_ok();
        self.begun.close();
        let finished = timeout_at(begun + FINISHED, self.begun.wait()).await.is_ok();
        self.studio.stop_by(begun + FOLLOWED, begun + WRITTEN).await && http && finished
    }
}
