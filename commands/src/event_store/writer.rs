//! The batching writer: one task and one dedicated connection per node; whatever waits becomes one durable commit (DESIGN 3, property 3).

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls, Statement};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch::{self, Verdict};
use super::{Append, AppendError, Appended};

/// The writer's bounds.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The most appends that wait; one more is refused as overloaded.
    pub queue_items: usize,
    /// The most payload bytes that wait; beyond them an append is refused as overloaded.
    pub queue_bytes: usize,
    /// The most appends of one commit.
    pub batch_items: usize,
    /// How long a batch whose answer was lost is sent again before its outcome is reported as unknown.
    pub deadline: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { queue_items: 8_192, queue_bytes: 64 << 20, batch_items: 512, deadline: Duration::from_secs(15) }
    }
}

struct Job {
    append: Append,
    answer: oneshot::Sender<Verdict>,
    _bytes: OwnedSemaphorePermit,
}

/// The sending end of the writer.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    bytes: std::sync::Arc<Semaphore>,
}

impl Writer {
    /// Starts the writer's task; it ends when `stop` is cancelled and everything accepted has been answered.
    pub(super) fn start(
        config: tokio_postgres::Config,
        options: WriterOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(options.queue_items);
        let bytes = std::sync::Arc::new(Semaphore::new(options.queue_bytes.min(Semaphore::MAX_PERMITS)));
        let task = WriterTask { config, options, connection: None };
        tasks.spawn(task.run(queue, stop));
        Self { jobs, bytes }
    }

    /// Queues an append and waits for its verdict.
    pub(super) async fn append(&self, append: Append) -> Verdict {
        let size: usize = append.events.iter().map(|e| e.payload.len() + e.metadata.len() + 128).sum();
        let size = u32::try_from(size).map_err(|_| AppendError::Overloaded)?;
        let permit = self.bytes.clone().try_acquire_many_owned(size).map_err(|_| AppendError::Overloaded)?;
        let (answer, verdict) = oneshot::channel();
        self.jobs.try_send(Job { append, answer, _bytes: permit }).map_err(|_| AppendError::Overloaded)?;
        verdict.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }
}

struct WriterTask {
    config: tokio_postgres::Config,
    options: WriterOptions,
    connection: Option<(Client, Statement)>,
}

impl WriterTask {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            // What was accepted is answered: after the stop the queue is closed and emptied, not dropped.
            let received = tokio::select! {
                biased;
                received = queue.recv_many(&mut batch, self.options.batch_items) => received,
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            metrics::histogram!("atelier_append_batch_size")
                .record(f64::from(u32::try_from(received).unwrap_or(u32::MAX)));
            let started = Instant::now();
            self.write(std::mem::take(&mut batch)).await;
            metrics::histogram!("atelier_append_seconds").record(started.elapsed().as_secs_f64());
        }
    }

    async fn write(&mut self, jobs: Vec<Job>) {
        let verdicts = {
            let appends: Vec<&Append> = jobs.iter().map(|job| &job.append).collect();
            self.verdicts(&appends).await
        };
        for (job, verdict) in jobs.into_iter().zip(verdicts) {
            // A caller that no longer waits has left; its append stands all the same.
            let _ = job.answer.send(verdict);
        }
    }

    async fn verdicts(&mut self, appends: &[&Append]) -> Vec<Verdict> {
        match self.send_until_answered(appends).await {
            Ok(verdicts) => verdicts,
            Err(Refusal::Unanswered) => vec![Err(AppendError::OutcomeUnknown); appends.len()],
            Err(Refusal::Database(message)) if appends.len() == 1 => vec![Err(AppendError::Rejected(message))],
            Err(Refusal::Database(_)) => {
                // Something in the batch is poisonous: each append is sent alone, so that only that one fails. What was
                // decided on top of a failed one in the same stream fails with it.
                let mut verdicts: Vec<Verdict> = Vec::with_capacity(appends.len());
                for (index, append) in appends.iter().enumerate() {
                    let stands_on_failure = appends[..index].iter().zip(&verdicts).any(|(earlier, verdict)| {
                        earlier.stream == append.stream && !matches!(verdict, Ok(Appended::Written { .. }))
                    });
                    verdicts.push(if stands_on_failure {
                        Err(AppendError::Conflict)
                    } else {
                        match self.send_until_answered(std::slice::from_ref(append)).await {
                            Ok(mut one) => one.pop().unwrap_or(Err(AppendError::OutcomeUnknown)),
                            Err(Refusal::Unanswered) => Err(AppendError::OutcomeUnknown),
                            Err(Refusal::Database(message)) => Err(AppendError::Rejected(message)),
                        }
                    });
                }
                verdicts
            }
        }
    }

    /// Sends the same batch, with the same event ids, until the database answers or the deadline passes: an append that an
    /// unanswered call had already written comes back as ours (property 8).
    async fn send_until_answered(&mut self, appends: &[&Append]) -> Result<Vec<Verdict>, Refusal> {
        let deadline = Instant::now() + self.options.deadline;
        let mut pause = Duration::from_millis(5);
        loop {
            let attempt = tokio::time::timeout_at(deadline, self.send_once(appends)).await;
            match attempt {
                Ok(Ok(verdicts)) => return Ok(verdicts),
                Ok(Err(error)) => match error.as_db_error() {
                    Some(refusal) if !passes_by_itself(refusal.code()) => {
                        // The code alone: a message may quote a value.
                        return Err(Refusal::Database(format!("SQLSTATE {}", refusal.code().code())));
                    }
                    _ => {
                        tracing::warn!(
                            code = error.code().map(|c| c.code()),
                            "the append was not answered; sending it again"
                        );
                        self.connection = None;
                    }
                },
                Err(_elapsed) => self.connection = None,
            }
            if Instant::now() + pause >= deadline {
                metrics::counter!("atelier_append_outcome_unknown_total").increment(1);
                return Err(Refusal::Unanswered);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn send_once(&mut self, appends: &[&Append]) -> Result<Vec<Verdict>, tokio_postgres::Error> {
        if self.connection.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            self.connection = Some(connect(&self.config).await?);
        }
        let (client, call) = self.connection.as_ref().expect("the connection was made just now");
        batch::send(client, call, appends).await
    }
}

enum Refusal {
    /// The database answered with an error that sending again will not cure.
    Database(String),
    /// The deadline passed without an answer.
    Unanswered,
}

/// Errors that say something about the server's moment, not about the batch: shutting down, starting, too many connections,
/// out of disk or memory, killed by an operator, a lock or serialisation failure.
fn passes_by_itself(code: &tokio_postgres::error::SqlState) -> bool {
    let code = code.code();
    ["08", "40", "53", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

async fn connect(config: &tokio_postgres::Config) -> Result<(Client, Statement), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(code = error.code().map(|c| c.code()), "the append connection ended");
        }
    });
    // Durability is not left to a server's or a role's default (DESIGN 3, property 3).
    client.batch_execute("set synchronous_commit = on; set application_name = 'atelier-append'").await?;
    let call = batch::prepare(&client).await?;
    Ok((client, call))
}
