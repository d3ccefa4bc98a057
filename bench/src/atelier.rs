//! Our system: the command path over the PostgreSQL store, hung together as the composition root does. All that knows how
//! these are made and called stands in this file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_commands::command_path::{CommandPathOptions, Target};
use atelier_commands::event_store::{IdempotencyKey, PostgresEventStore, WriterOptions};
use atelier_commands::{CommandContext, CommandError, CommandPath};
use atelier_domain::Actor;
use atelier_domain::credit_ledger::CreditLedger;
use atelier_projections::models::{credit_balance, transaction_history};
use atelier_projections::{Feed, Projection, Runner, RunnerOptions};
use atelier_server::database;
use atelier_server::system::{SystemClock, SystemRandom};
use atelier_vault::Vault;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Fallible;
use crate::postgres::Database;
use crate::workload::{Answer, Ledger, Request, System};

/// The connections of a node as it comes.
const POOL: u32 = 24;
/// How long the read models may take to catch up before the round is a failure.
const CATCH_UP: Duration = Duration::from_secs(120);

/// A node.
pub struct Node {
    path: CommandPath,
    pool: PgPool,
    runner: Option<Arc<Runner>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    stop_writer: CancellationToken,
    writer_tasks: TaskTracker,
}

impl Node {
    /// Starts a node on a database; `views` adds the runner with balance and transaction history.
    pub async fn start(on: &Database, keys: &Path, views: bool) -> Fallible<Self> {
        let pool = database::pool(&on.url, POOL).await?;
        let (stop, stop_writer) = (CancellationToken::new(), CancellationToken::new());
        let (tasks, writer_tasks) = (TaskTracker::new(), TaskTracker::new());
        let random = Arc::new(SystemRandom);
        let vault = Vault::open_folder(keys, random.clone())?;
        let store = Arc::new(PostgresEventStore::start(
            pool.clone(),
            &on.url,
            WriterOptions::default(),
            &writer_tasks,
            stop_writer.clone(),
        )?);
        let options = CommandPathOptions::default();
        let clock = Arc::new(SystemClock);
        let path = CommandPath::with_options(store.clone(), Some(store), vault, clock, random, &options);
        let runner = if views { Some(follow(&pool, &tasks, &stop).await?) } else { None };
        Ok(Self { path, pool, runner, stop, tasks, stop_writer, writer_tasks })
    }

    /// How long it takes from now until both read models have reached the head.
    pub async fn lag(&self) -> Fallible<Option<Duration>> {
        let Some(runner) = &self.runner else { return Ok(None) };
        let started = Instant::now();
        let head = self.path.store().head().await?.number;
        for progress in runner.progress().values() {
            let mut position = progress.subscribe();
            let reached = tokio::time::timeout(CATCH_UP, position.wait_for(|position| *position >= head)).await;
            reached.map_err(|_| "the read models do not catch up")??;
        }
        Ok(Some(started.elapsed()))
    }

    /// Stops it: what was accepted is acknowledged first.
    pub async fn stop(&self) {
        for (stop, tasks) in [(&self.stop, &self.tasks), (&self.stop_writer, &self.writer_tasks)] {
            stop.cancel();
            tasks.close();
            tasks.wait().await;
        }
        self.pool.close().await;
    }
}

async fn follow(pool: &PgPool, tasks: &TaskTracker, stop: &CancellationToken) -> Fallible<Arc<Runner>> {
    let followers: Vec<Arc<dyn Projection>> =
        vec![Arc::new(credit_balance::CreditBalance), Arc::new(transaction_history::TransactionHistory)];
    let runner = Arc::new(Runner::new(pool.clone(), Feed::new(pool.clone()), followers, RunnerOptions::default()));
    runner.register().await?;
    runner.clone().start(tasks, stop);
    Ok(runner)
}

impl System for Node {
    async fn execute(&self, ledger: &Ledger, request: Request) -> Answer {
        let Request { ask, id, fingerprint } = request;
        let target = Target { id: ledger.id.clone(), subject: ledger.account };
        let context =
            CommandContext { actor: Actor::Account(ledger.account), correlation_id: id, causation_id: id, key: None };
        let key = fingerprint.map(|fingerprint| IdempotencyKey {
            account: ledger.account,
            key: id.to_string(),
            clear: None,
            fingerprint,
            result: format!("gen_{}", id.simple()),
        });
        match self.path.execute::<CreditLedger>(&target, &context, key.as_ref(), move |now| ask.command(now)).await {
            Ok(_) => Answer::Done,
            Err(CommandError::Refused(refusal)) => refusal.into(),
            Err(other) => Answer::Failed(other.to_string()),
        }
    }
}
