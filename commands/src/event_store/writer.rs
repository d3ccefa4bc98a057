//! The batching writer: one task and one dedicated connection per node; whatever waits becomes one durable commit (DESIGN 3, property 3).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atelier_log::{Answer, KnownLog, OPEN};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, Error, Statement};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch::{self, Verdict};
use super::link::Link;
use super::{Append, AppendError, Appended, StreamId, Submitted};

/// The writer's bounds.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The most appends that wait; one more is refused as overloaded.
    pub queue_items: usize,
    /// The most payload bytes that wait; beyond them an append is refused as overloaded.
    pub queue_bytes: usize,
    /// The most appends of one commit.
    pub batch_items: usize,
    /// How long one call may stay unanswered before it is sent again on a new connection.
    pub attempt: Duration,
    /// How long a batch whose answer was lost is sent again before its outcome is reported as unknown.
    pub deadline: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            queue_items: 8_192,
            queue_bytes: 64 << 20,
            batch_items: 512,
            attempt: Duration::from_secs(3),
            deadline: Duration::from_secs(15),
        }
    }
}

/// What the log names when it refuses an instant that is ahead of its clock (migration 0030).
const DECIDED_IN_TIME: &str = "events_decided_in_time";
/// What it answers when it is another log than the batch was decided on (migration 0031).
const ANOTHER_LOG: &str = "AT001";

struct Job {
    append: Append,
    answer: oneshot::Sender<Verdict>,
    _bytes: OwnedSemaphorePermit,
}

/// The sending end of the writer.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
}

impl Writer {
    /// Starts the writer's task; it ends when `stop` is cancelled and everything accepted has been answered.
    pub(super) fn start(
        link: Link,
        log: Arc<KnownLog>,
        options: WriterOptions,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(options.queue_items);
        let bytes = Arc::new(Semaphore::new(options.queue_bytes.min(Semaphore::MAX_PERMITS)));
        let task = WriterTask { link, log, options, connection: None };
        tasks.spawn(task.run(queue, stop));
        Self { jobs, bytes }
    }

    /// Queues an append; it has its place when this returns.
    pub(super) fn submit(&self, append: Append) -> Result<Submitted, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Rejected("it has no events".to_owned()));
        }
        let size: usize = append.events.iter().map(|e| e.payload.len() + e.metadata.len() + 128).sum();
        let size = u32::try_from(size).map_err(|_| AppendError::Overloaded)?;
        let permit = self.bytes.clone().try_acquire_many_owned(size).map_err(|_| AppendError::Overloaded)?;
        let (answer, verdict) = oneshot::channel();
        self.jobs.try_send(Job { append, answer, _bytes: permit }).map_err(|_| AppendError::Overloaded)?;
        Ok(Box::pin(async move { verdict.await.unwrap_or(Err(AppendError::OutcomeUnknown)) }))
    }
}

struct WriterTask {
    link: Link,
    options: WriterOptions,
    connection: Option<(Client, Statement)>,
    /// Each connection may lead to another server, and so to another log.
    log: Arc<KnownLog>,
}

impl WriterTask {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            // What was accepted is answered: after the stop the queue is closed and emptied, not dropped. The stop is looked
            // at first: a queue that never runs dry would hide it.
            let received = tokio::select! {
                biased;
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                received = queue.recv_many(&mut batch, self.options.batch_items) => received,
            };
            if received == 0 {
                return;
            }
            metrics::gauge!("atelier_append_queue_depth")
                .set(f64::from(u32::try_from(queue.len()).unwrap_or(u32::MAX)));
            metrics::histogram!("atelier_append_batch_size")
                .record(f64::from(u32::try_from(received).unwrap_or(u32::MAX)));
            let started = Instant::now();
            self.write(std::mem::take(&mut batch), &mut queue).await;
            metrics::histogram!("atelier_append_seconds").record(started.elapsed().as_secs_f64());
            // Those who have just been answered come first: what they ask next rides on the next commit, not on the one after it.
            tokio::task::yield_now().await;
        }
    }

    /// Writes a batch and answers it.
    async fn write(&mut self, jobs: Vec<Job>, queue: &mut mpsc::Receiver<Job>) {
        let verdicts = {
            let appends: Vec<&Append> = jobs.iter().map(|job| &job.append).collect();
            self.verdicts(&appends).await
        };
        let silent = |verdict| matches!(verdict, &Err(AppendError::OutcomeUnknown | AppendError::Overloaded));
        let mut behind = Vec::new();
        if verdicts.iter().any(silent) {
            // The log was silent for a whole deadline: what waits behind was never sent, and is told so now instead of waiting for
            // one deadline after another. It is taken out before anybody is answered: what they ask next has waited for nothing.
            behind.extend(std::iter::from_fn(|| queue.try_recv().ok()));
        }
        for (job, verdict) in jobs.into_iter().zip(verdicts) {
            // A caller that no longer waits has left; its append stands all the same.
            let _ = job.answer.send(verdict);
        }
        for job in behind {
            let _ = job.answer.send(Err(AppendError::Overloaded));
        }
    }

    /// A verdict for each append. A batch that the database refuses has something poisonous in it: it is halved until that one
    /// stands alone, and what was decided on top of a failed one in the same stream fails with it.
    async fn verdicts(&mut self, appends: &[&Append]) -> Vec<Verdict> {
        let deadline = Instant::now() + self.options.deadline;
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(appends.len());
        let mut failed: HashSet<&StreamId> = HashSet::new();
        let whole = 0..appends.len();
        let mut ranges = Vec::from([whole]);
        while let Some(range) = ranges.pop() {
            let (places, sent): (Vec<usize>, Vec<&Append>) = range
                .clone()
                .map(|place| (place, appends[place]))
                .filter(|(_, one)| !failed.contains(&one.stream))
                .unzip();
            let answers =
                if sent.is_empty() { Ok(Vec::new()) } else { self.send_until_answered(&sent, deadline).await };
            let answers = match answers {
                Ok(answers) => answers,
                Err(AppendError::Rejected(_) | AppendError::ClockAhead) if sent.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    ranges.extend([middle..range.end, range.start..middle]);
                    continue;
                }
                Err(error) => vec![Err(error); sent.len()],
            };
            // Ranges come in order, so the verdicts do.
            verdicts.resize(range.end, Err(AppendError::Conflict));
            for (place, answer) in places.into_iter().zip(answers) {
                if !matches!(answer, Ok(Appended::Written { .. })) {
                    failed.insert(&appends[place].stream);
                }
                verdicts[place] = answer;
            }
        }
        verdicts
    }

    /// Sends the same batch, with the same event ids, until the database answers or the deadline passes: an append that an
    /// unanswered call had already written comes back as ours (property 8). An error is that of every append of the batch.
    async fn send_until_answered(
        &mut self,
        appends: &[&Append],
        deadline: Instant,
    ) -> Result<Vec<Verdict>, AppendError> {
        let mut pause = Duration::from_millis(5);
        let mut unknown = false;
        while Instant::now() < deadline {
            // A silent connection must not use the deadline up: after a while the batch goes out again on a new one.
            let patience = deadline.min(Instant::now() + self.options.attempt);
            match tokio::time::timeout_at(patience, self.send_once(appends)).await {
                Ok(Ok(verdicts)) => return Ok(verdicts),
                // The code alone: a message may quote a value.
                Ok(Err(Failure::ClockAhead)) => return Err(AppendError::ClockAhead),
                Ok(Err(Failure::Refused(code))) => return Err(AppendError::Rejected(format!("SQLSTATE {code}"))),
                Ok(Err(Failure::NotWritten(error))) => again(&error),
                // It was written to a log that is not there any more, or to the one that is: sent again, it says which.
                Ok(Err(Failure::OfAnotherLog)) => unknown = true,
                Ok(Err(Failure::Unanswered(error))) => {
                    again(&error);
                    unknown = true;
                }
                // Without a connection it was still being made.
                Err(_elapsed) => unknown |= self.connection.is_some(),
            }
            self.connection = None;
            sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        if !unknown {
            return Err(AppendError::Overloaded);
        }
        metrics::counter!("atelier_append_outcome_unknown_total").increment(1);
        Err(AppendError::OutcomeUnknown)
    }

    async fn send_once(&mut self, appends: &[&Append]) -> Result<Vec<Verdict>, Failure> {
        self.connection.take_if(|(client, _)| client.is_closed());
        if self.connection.is_none() {
            // Whatever the database says while connecting, it says before it has heard of the batch.
            self.connection = Some(connect(&self.link, &self.log).await.map_err(|error| {
                // In words, which hold no value of any event yet: a certificate that is refused has no code.
                let cause = std::error::Error::source(&error);
                tracing::warn!(%error, cause, "the append connection was not made");
                Failure::NotWritten(error)
            })?);
        }
        let (client, call) = self.connection.as_ref().expect("the connection was made just now");
        // The era first: what the branch changes to in between is refused by the log.
        let era = self.log.era();
        let Some(expected) = self.log.now() else { return Err(Failure::OfAnotherLog) };
        let verdicts = batch::send(client, call, appends, era, &expected).await.map_err(Failure::of_call)?;
        // What is acknowledged is known from here on. An answer of a log that was left meanwhile acknowledges nothing.
        if self.log.saw(expected.branch, batch::written(appends, &verdicts)) {
            Ok(verdicts)
        } else {
            Err(Failure::OfAnotherLog)
        }
    }
}

/// Why an attempt brought no verdicts.
enum Failure {
    /// The database refused the batch for what is in it (its SQLSTATE): it would refuse it again. Nothing was written.
    Refused(String),
    /// Something in it was decided ahead of the database's clock. Nothing was written.
    ClockAhead,
    /// The database could not take it at this moment. Nothing was written by this attempt.
    NotWritten(Error),
    /// It was sent and not answered: it may be durable.
    Unanswered(Error),
    /// The answer is of a log that this node does not work on any more: it may be durable in the one that is there now.
    OfAnotherLog,
}

impl Failure {
    fn of_call(error: Error) -> Self {
        match error.as_db_error() {
            // An error rolls the call back. What is graver ends the session, perhaps after the commit.
            Some(answer) if answer.parsed_severity() == Some(Severity::Error) => {
                if answer.constraint() == Some(DECIDED_IN_TIME) {
                    Self::ClockAhead
                } else if passes_by_itself(answer.code()) {
                    Self::NotWritten(error)
                } else {
                    Self::Refused(answer.code().code().to_owned())
                }
            }
            _ => Self::Unanswered(error),
        }
    }
}

fn again(error: &Error) {
    tracing::warn!(code = error.code().map(|c| c.code()), "the append was not answered; sending it again");
}

/// Errors that say something about the server's moment, not about the batch: shutting down, starting, too many connections,
/// out of disk or memory, read-only after a failover, killed by an operator, a lock or serialisation failure,
/// a full notification queue, another log than expected.
fn passes_by_itself(code: &SqlState) -> bool {
    let code = code.code();
    ["08", "25", "40", "53", "57", "58", "XX"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "54000" | ANOTHER_LOG)
        // While a dump is restored under the node: no such function or table yet, or no right to it yet.
        || matches!(code, "42P01" | "42883" | "42501")
}

async fn connect(link: &Link, log: &KnownLog) -> Result<(Client, Statement), Error> {
    let (client, connection) = link.connect().await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(code = error.code().map(|c| c.code()), "the append connection ended");
        }
    });
    // Neither durability (DESIGN 3, property 3) nor the fresh snapshot behind the lock (property 1) is left to a server's or a
    // role's default.
    client
        .batch_execute(
            "set synchronous_commit = on; set default_transaction_isolation = 'read committed'; \
             set application_name = 'atelier-append'",
        )
        .await?;
    ask(&client, log).await?;
    log.new_era();
    let call = batch::prepare(&client).await?;
    Ok((client, call))
}

/// Tells the database what this node knows of the log, and takes over the branch that it is told.
async fn ask(client: &Client, log: &KnownLog) -> Result<(), Error> {
    loop {
        let question = log.question();
        let row = client.query_one(OPEN, &[&question.branches, &question.positions, &question.events]).await?;
        let answer = Answer { branch: row.try_get(0)?, branches: row.try_get(1)?, kept: row.try_get(2)? };
        if log.answered(&question, answer) {
            return Ok(());
        }
    }
}
