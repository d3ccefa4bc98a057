//! A life: a whole node on a runtime of its own. At its death the runtime is dropped where it stands, as by `kill -9`: everything in
//! memory is gone, connections are cut, nothing is said to anybody.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use atelier_commands::api_policy::ApiPolicy;
use atelier_commands::event_store::WriterOptions;
use atelier_commands::process::DispatcherOptions;
use atelier_commands::write_side::AccessSettings;
use atelier_projections::RunnerOptions;
use atelier_server::database;
use atelier_server::studio::{Studio, StudioOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::link::Link;
use super::steps::Steps;
use super::world::{PATIENCE, World};

type Order = Box<dyn FnOnce(Arc<Studio>) + Send>;

/// A living node, until it dies.
pub struct Life {
    pub steps: Arc<Steps>,
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
    _link: Link,
}

impl Life {
    /// Begins.
    pub async fn begin(world: &World) -> Self {
        Self::with(world, DispatcherOptions::default()).await
    }

    /// Begins, with a dispatcher of these bounds.
    pub async fn with(world: &World, dispatcher: DispatcherOptions) -> Self {
        let steps = Arc::new(Steps::default());
        let link = Link::to(&world.database.url, steps.clone()).await;
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, begun) = oneshot::channel();
        let (url, keys, ports) = (link.url.clone(), world.data.path().join("keys"), world.ports(&steps));
        let open = async move {
            let pool = database::pool(&url, 4).await.expect("the database takes connections");
            let studio = Studio::open(StudioOptions {
                database_url: url,
                pool,
                keys,
                ports,
                public_url: "http://atelier.test".to_owned(),
                access: AccessSettings::default(),
                writer: WriterOptions::default(),
                runner: RunnerOptions { rest: Duration::from_millis(100), ..RunnerOptions::default() },
                dispatcher: DispatcherOptions { poll: Duration::from_millis(20), ..dispatcher },
                api: ApiPolicy::without_limits(),
            });
            Arc::new(studio.await.expect("the studio opens"))
        };
        let until = steps.clone();
        let thread = std::thread::spawn(move || live(open, received, ready, &until));
        begun.await.expect("it begins");
        Self { steps, orders, thread, _link: link }
    }

    /// Asks the node for something; `None` when it died before it had answered.
    pub async fn ask<T, F>(&self, ask: impl FnOnce(Arc<Studio>) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let order: Order = Box::new(move |studio| {
            tokio::spawn(async move {
                let _ = answer.send(ask(studio).await);
            });
        });
        if self.orders.send(order).is_err() {
            return None;
        }
        tokio::select! {
            answer = answered => answer.ok(),
            () = self.steps.died() => None,
        }
    }

    /// Whether it lives and has nothing left to do.
    pub async fn is_at_rest(&self) -> bool {
        self.ask(async |studio| studio.at_rest().await.unwrap_or(false)).await == Some(true)
    }

    /// Waits until it has nothing left to do, or is dead; whether it lives.
    pub async fn rests(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(async |studio| studio.at_rest().await.unwrap_or(false)).await {
                Some(true) => return true,
                None => return false,
                Some(false) if Instant::now() < deadline => {}
                Some(false) => panic!("a life does not come to rest: {}", self.left().await),
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// What is left to do, for whoever reads the failed test.
    async fn left(&self) -> String {
        let left = "select format('%s %s attempts %s due %s leased %s: %s', state, id, attempts, due_at - now(), leased_until - now(), last_error) \
                from process_work where due_at <= now() or leased_until > now() or last_error is not null \
            union all select format('%s is at %s (%s)', name, position, state) from checkpoints \
                where position < (select max(position) from events)";
        let left = self.ask(move |studio| async move {
            sqlx::query_scalar::<_, String>(left).fetch_all(&studio.write.pool).await.unwrap_or_default()
        });
        left.await.unwrap_or_default().join("\n")
    }

    /// Ends it: buried if it is dead, stopped in order if it lives.
    pub async fn end(self) {
        let Self { orders, thread, _link: link, .. } = self;
        drop(orders);
        tokio::task::spawn_blocking(|| thread.join()).await.expect("it can be waited for").expect("it does not panic");
        drop(link);
    }
}

fn live(
    open: impl Future<Output = Arc<Studio>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    ready: oneshot::Sender<()>,
    steps: &Steps,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let living = async {
            let studio = open.await;
            studio.start();
            ready.send(()).expect("somebody waits for it");
            while let Some(order) = orders.recv().await {
                order(studio.clone());
            }
            studio.stop().await;
        };
        tokio::select! {
            () = steps.died() => {}
            () = living => {}
        }
    });
    // What a thread was writing when the process died is written or not before anybody else begins.
    runtime.shutdown_timeout(Duration::from_secs(10));
}
