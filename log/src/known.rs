//! What a node knows of the log, shared by everything in it that reads or appends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{PgPool, Row};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::file::Kept;
use crate::ladder::Ladder;
use crate::place::Branch;

/// Tells the database what is known, and is told the branch: `branch`, `branches`, `kept`.
pub const OPEN: &str = "select branch, branches, kept from open_log_branch($1::uuid[], $2::int8[], $3::uuid[])";
/// It waits for the append lock; a restore may hold the tables for longer.
const ASKING: &str = "begin isolation level read committed; set local statement_timeout = '5s'";
/// How many of the newest branches are kept in mind.
const BRANCHES: usize = 200;
/// How often it is asked again because more was seen meanwhile.
const ASKED: usize = 8;
/// Between two writes of the file.
const KEEPING: Duration = Duration::from_secs(1);

/// What a statement compares with the log: `log_branch($position, $event)` is this branch, or the log is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The branch that this node works on.
    pub branch: Branch,
    /// The last position of which it has seen the event; none before the first.
    pub position: Option<i64>,
    /// That event.
    pub event: Option<Uuid>,
}

/// What the database is told: the parameters of [`OPEN`].
#[derive(Debug, Clone)]
pub struct Question {
    /// The branches that this node knows.
    pub branches: Vec<Uuid>,
    /// Positions in rising order.
    pub positions: Vec<i64>,
    /// The event at each.
    pub events: Vec<Uuid>,
    version: u64,
}

/// What the database answers: the columns of [`OPEN`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// The branch that the log is on.
    pub branch: Uuid,
    /// All branches, in their order.
    pub branches: Vec<Uuid>,
    /// Up to where the log has what this node has seen; all of it, when none.
    pub kept: Option<i64>,
}

#[derive(Debug, Default)]
struct State {
    /// None until the database was asked for the first time.
    branch: Option<Branch>,
    branches: Vec<Uuid>,
    ladder: Ladder,
    /// Rises with everything noted.
    version: u64,
}

/// What a node knows of the log.
#[derive(Debug)]
pub struct KnownLog {
    pool: PgPool,
    state: Mutex<State>,
    era: watch::Sender<u64>,
    asking: tokio::sync::Mutex<()>,
    /// Where what is known is kept for the next start, and of which log it is.
    file: Option<(PathBuf, Uuid)>,
}

impl KnownLog {
    /// Nothing is known of the log of this database yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            state: Mutex::default(),
            era: watch::Sender::new(0),
            asking: tokio::sync::Mutex::default(),
            file: None,
        })
    }

    /// Known is what this node, or another one with the same file, had seen when it last ran. The database is asked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept(pool: PgPool, file: &Path) -> Result<Arc<Self>, sqlx::Error> {
        let log: Uuid = sqlx::query_scalar("select log_id from log_identity").fetch_one(&pool).await?;
        let mut known = Self::new(pool);
        if let Some(only) = Arc::get_mut(&mut known) {
            only.file = Some((file.to_owned(), log));
            let kept = Kept::read(file).unwrap_or_else(|error| {
                tracing::warn!(%error, "what this node knew of the log cannot be read; it knows nothing");
                None
            });
            if let Some(kept) = kept.filter(|kept| kept.log == log) {
                let mut state = only.state();
                (state.branches, state.ladder) = (kept.branches, Ladder::of(kept.events));
            }
        }
        known.expected().await?;
        Ok(known)
    }

    /// Keeps what is known, at most once a second, until stopped, and once more then. A process that dies in between knows less at the
    /// next start, and nothing that is wrong.
    pub async fn keep(&self, stop: &CancellationToken) {
        let mut version = None;
        loop {
            let stopping = tokio::time::timeout(KEEPING, stop.cancelled()).await.is_ok();
            let question = self.question();
            let now = (self.branch(), question.version);
            if let Some((file, log)) = self.file.clone().filter(|_| version != Some(now)) {
                let events = question.positions.into_iter().zip(question.events).collect();
                let kept = Kept { log, branches: question.branches, events };
                let written = tokio::task::spawn_blocking(move || kept.write(&file)).await;
                match written {
                    Ok(Ok(())) => version = Some(now),
                    Ok(Err(error)) => tracing::warn!(%error, "what this node knows of the log cannot be kept"),
                    Err(_) => {}
                }
            }
            if stopping {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rises whenever the log may be another one than before: what was read in an earlier era is to be read again.
    #[must_use]
    pub fn era(&self) -> u64 {
        *self.era.borrow()
    }

    /// The era, for those who hold something of the log and must let go of it.
    #[must_use]
    pub fn eras(&self) -> watch::Receiver<u64> {
        self.era.subscribe()
    }

    /// Begins an era, though the branch may be the same.
    pub fn new_era(&self) {
        self.era.send_modify(|era| *era += 1);
    }

    /// The branch that this node works on; none before the database was asked.
    #[must_use]
    pub fn branch(&self) -> Option<Branch> {
        self.state().branch
    }

    /// What a statement is to find. To be asked for before the statement's snapshot is taken.
    ///
    /// # Errors
    /// When the database has to be asked for it, and fails.
    pub async fn expected(self: &Arc<Self>) -> Result<Expected, sqlx::Error> {
        if let Some(expected) = self.now() {
            return Ok(expected);
        }
        self.ask(None).await?;
        self.now().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// The same, as far as the database was asked already.
    #[must_use]
    pub fn now(&self) -> Option<Expected> {
        let state = self.state();
        let branch = state.branch?;
        let (position, event) = state.ladder.top().unzip();
        Some(Expected { branch, position, event })
    }

    /// Notes events that were found on a branch or appended to it. Says whether it is still the branch that this node works on; if not,
    /// nothing is noted, and nobody may be told of them: they may be gone.
    #[must_use]
    pub fn saw(&self, branch: Branch, events: impl IntoIterator<Item = (i64, Uuid)>) -> bool {
        let mut state = self.state();
        if state.branch != Some(branch) {
            return false;
        }
        for (position, event) in events {
            if state.ladder.note(position, event) {
                state.version += 1;
            }
        }
        true
    }

    /// Whether a statement that expected this has read the log that this node works on: `found` is what `log_branch` said in it. If
    /// not, what it has read counts for nothing; the database was asked when this returns, and the statement may be tried again.
    ///
    /// # Errors
    /// When the database fails, or is being restored.
    pub async fn is(self: &Arc<Self>, expected: &Expected, found: Option<Uuid>) -> Result<bool, sqlx::Error> {
        if self.branch() == Some(expected.branch) {
            if found == Some(expected.branch.0) {
                return Ok(true);
            }
            self.ask(Some(expected.branch)).await?;
        }
        Ok(false)
    }

    /// Tells the database what this node knows, and takes over the branch that it is told; `of` is the branch that was doubted: when
    /// it is not this node's any more, another task has asked.
    ///
    /// # Errors
    /// When the database fails, or is being restored.
    pub async fn ask(self: &Arc<Self>, of: Option<Branch>) -> Result<(), sqlx::Error> {
        let known = self.clone();
        // In a task of its own, which ends though its caller may not wait for it: a transaction that is cut off while it begins would be
        // left to the connection's next user.
        let asked = tokio::spawn(async move { known.ask_in_turn(of).await });
        asked.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    async fn ask_in_turn(&self, of: Option<Branch>) -> Result<(), sqlx::Error> {
        let _turn = self.asking.lock().await;
        for _ in 0..ASKED {
            if self.branch() != of {
                return Ok(());
            }
            let question = self.question();
            #[expect(clippy::disallowed_methods, reason = "in a task of its own, so that no begin is cut off")]
            let mut transaction = self.pool.begin_with(ASKING).await?;
            let row = sqlx::query(OPEN)
                .bind(&question.branches)
                .bind(&question.positions)
                .bind(&question.events)
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            let answer = Answer { branch: row.try_get(0)?, branches: row.try_get(1)?, kept: row.try_get(2)? };
            if self.answered(&question, answer) {
                return Ok(());
            }
        }
        Err(sqlx::Error::Protocol("the log changes too fast".to_owned()))
    }

    /// What the database is to be told, for a connection that is not of the pool.
    #[must_use]
    pub fn question(&self) -> Question {
        let mut state = self.state();
        let (positions, events) = state.ladder.pairs();
        Question { branches: state.branches.clone(), positions, events, version: state.version }
    }

    /// Takes over what the database answered. Says whether it could: not when something was seen meanwhile on a branch that is not the
    /// log's any more, so that the database has to be told of that as well.
    #[must_use]
    pub fn answered(&self, question: &Question, answer: Answer) -> bool {
        let branch = Branch(answer.branch);
        let mut state = self.state();
        if state.branch == Some(branch) && answer.kept.is_none() {
            return true;
        }
        if state.version != question.version {
            return false;
        }
        let before = state.branch.replace(branch);
        if let Some(kept) = answer.kept {
            state.ladder.cut(kept);
        }
        // Those of before stay known: a node that is told of another log was on them all the same.
        let mut branches = std::mem::take(&mut state.branches);
        branches.retain(|known| !answer.branches.contains(known));
        branches.extend(answer.branches);
        let excess = branches.len().saturating_sub(BRANCHES);
        branches.drain(..excess);
        state.branches = branches;
        drop(state);
        if let Some(before) = before.filter(|before| *before != branch) {
            tracing::warn!(from = %before.0, to = %branch.0, kept = answer.kept, "the log is on another branch");
        }
        // What was read before is of another log, or was read before anything was known of it.
        self.new_era();
        true
    }
}
