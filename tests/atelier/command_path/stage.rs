//! Command paths over one log, ledgers to command, and what the log then holds.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use atelier_commands::command_path::{CommandPathOptions, Executed, Loaded, Target};
use atelier_commands::event_store::{EventStore, IdempotencyKey, SnapshotStore};
use atelier_commands::{CommandContext, CommandError, CommandPath};
use atelier_domain::credit_ledger::{
    CreditLedger, CreditLedgerCommand, CreditLedgerError, CreditLedgerEvent, GrantReason, HoldLimits,
};
use atelier_domain::{AccountId, Actor, Credits, HoldId, LedgerId, LotId, decode_event};
use atelier_server::system::{SystemClock, SystemRandom};
use atelier_vault::Vault;
use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::checks::checked_fold;
use crate::log::appends::fresh_id;
use crate::log::test_log::{PATIENCE, TestLog};

/// What came of a command.
pub type Outcome = Result<Executed<CreditLedger>, CommandError<CreditLedgerError>>;
/// A command on its way.
pub type Answer = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A log and what its nodes share.
pub struct Stage {
    /// The log.
    pub log: TestLog,
    /// The accounts' keys.
    pub vault: Vault,
    random: Arc<SystemRandom>,
    _keys: TempDir,
}

impl Stage {
    /// An empty log.
    pub async fn fresh() -> Self {
        let keys = tempfile::tempdir().expect("a temporary folder");
        let random = Arc::new(SystemRandom);
        let vault = Vault::open_folder(keys.path(), random.clone()).expect("a key folder");
        Self { log: TestLog::fresh().await, vault, random, _keys: keys }
    }

    /// The path of a new node.
    pub fn path(&self) -> CommandPath {
        self.path_over(self.log.node())
    }

    /// A path over this store, with a cold cache.
    pub fn path_over(&self, store: Arc<dyn EventStore>) -> CommandPath {
        self.path_with(store, None, &CommandPathOptions::default())
    }

    /// A path with these snapshots and bounds.
    pub fn path_with(
        &self,
        store: Arc<dyn EventStore>,
        snapshots: Option<Arc<dyn SnapshotStore>>,
        options: &CommandPathOptions,
    ) -> CommandPath {
        let (vault, random) = (self.vault.clone(), self.random.clone());
        CommandPath::with_options(store, snapshots, vault, Arc::new(SystemClock), random, options)
    }

    /// A ledger's events with their positions, in order; sequences are dense from 1.
    pub async fn history(&self, ledger: &Ledger) -> Vec<(i64, CreditLedgerEvent)> {
        let rows: Vec<(i64, i64, String, String, String)> = sqlx::query_as(
            "select sequence, position, event_type, event_version, payload::text from events \
             where aggregate_type = 'CreditLedger' and aggregate_id = $1 order by sequence",
        )
        .bind(&ledger.id)
        .fetch_all(&self.log.database.pool)
        .await
        .expect("the log can be read");
        assert!(rows.iter().zip(1..).all(|(row, sequence)| row.0 == sequence), "a hole in the stream: {rows:?}");
        let decoded = |(_, position, name, version, payload): (i64, i64, String, String, String)| {
            (position, decode_event(CreditLedger::TYPE, &name, &version, &payload).expect("an event of ours"))
        };
        rows.into_iter().map(decoded).collect()
    }

    /// A ledger as its events make it; none of them was decided on anything but those in front of it.
    pub async fn truth(&self, ledger: &Ledger) -> CreditLedger {
        checked_fold(self.history(ledger).await.iter().map(|(_, event)| event))
    }

    /// How many commits made a ledger's events after a sequence.
    pub async fn commits(&self, ledger: &Ledger, after: i64) -> i64 {
        let commits = "select count(distinct xmin::text) from events where aggregate_id = $1 and sequence > $2";
        let commits = sqlx::query_scalar(commits).bind(&ledger.id).bind(after);
        commits.fetch_one(&self.log.database.pool).await.expect("a count")
    }

    /// Lets everything that does not wait for the log's lock go on: the log is read many times.
    pub async fn let_others_go_on(&self) {
        for _ in 0..50 {
            self.log.blocked().await;
        }
    }
}

/// A ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    account: AccountId,
    /// Its stream's id.
    pub id: String,
}

/// What may be asked of a ledger, with the ids chosen.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// A new lot.
    Grant(LotId, i64),
    /// A new lot that ends at an instant.
    GrantUntil(LotId, i64, DateTime<Utc>),
    /// A hold.
    Hold(HoldId, i64),
    /// Payment of a hold.
    Capture(HoldId, i64),
    /// The end of a hold.
    Void(HoldId),
    /// The end of a lot.
    Expire(LotId),
}

impl Ask {
    /// A lot with a fresh id.
    pub fn grant(amount: i64) -> Self {
        Self::Grant(LotId(fresh_id()), amount)
    }

    /// A hold with a fresh id.
    pub fn hold(amount: i64) -> Self {
        Self::Hold(HoldId(fresh_id()), amount)
    }

    /// The end of the same hold.
    pub fn voided(self) -> Self {
        let Self::Hold(hold_id, _) = self else { panic!("not a hold: {self:?}") };
        Self::Void(hold_id)
    }

    /// Payment of the same hold.
    pub fn captured(self, amount: i64) -> Self {
        let Self::Hold(hold_id, _) = self else { panic!("not a hold: {self:?}") };
        Self::Capture(hold_id, amount)
    }

    /// The command at an instant.
    pub fn command(self, now: DateTime<Utc>) -> CreditLedgerCommand {
        let granted = |lot_id, amount, expires_at| CreditLedgerCommand::GrantCredits {
            lot_id,
            reason: GrantReason::Gift,
            amount: Credits::new(amount),
            expires_at,
            now,
        };
        match self {
            Self::Grant(lot_id, amount) => granted(lot_id, amount, None),
            Self::GrantUntil(lot_id, amount, until) => granted(lot_id, amount, Some(until)),
            Self::Hold(hold_id, amount) => CreditLedgerCommand::PlaceHold {
                hold_id,
                generation_id: hold_id.into(),
                amount: Credits::new(amount),
                price_version: 1,
                limits: HoldLimits::default(),
                now,
            },
            Self::Capture(hold_id, amount) => {
                CreditLedgerCommand::CaptureHold { hold_id, amount: Credits::new(amount), now }
            }
            Self::Void(hold_id) => CreditLedgerCommand::VoidHold { hold_id, now },
            Self::Expire(lot_id) => CreditLedgerCommand::ExpireLot { lot_id, now },
        }
    }
}

impl Ledger {
    /// One that has no events.
    pub fn fresh() -> Self {
        let account = AccountId(fresh_id());
        Self { account, id: LedgerId::live(account).to_string() }
    }

    /// A command on it.
    pub fn ask(&self, path: &CommandPath, ask: Ask) -> Answer {
        self.ask_at(path, ask, None, Arc::default())
    }

    /// A command with an idempotency key; `body` stands for the request's meaning.
    pub fn ask_keyed(&self, path: &CommandPath, ask: Ask, key: &str, body: u8, result: &str) -> Answer {
        let (key, result) = (key.to_owned(), result.to_owned());
        let key = IdempotencyKey { account: self.account, key, clear: None, fingerprint: [body; 32], result };
        self.ask_at(path, ask, Some(key), Arc::default())
    }

    /// A command that says at which instant it was decided last.
    pub fn ask_at(
        &self,
        path: &CommandPath,
        ask: Ask,
        key: Option<IdempotencyKey>,
        decided: Arc<Mutex<DateTime<Utc>>>,
    ) -> Answer {
        let target = Target { id: self.id.clone(), subject: self.account };
        let (path, id) = (path.clone(), fresh_id());
        let context = CommandContext { actor: Actor::Operator, correlation_id: id, causation_id: id, key: None };
        Box::pin(async move {
            let command = |now| {
                *decided.lock().expect("nobody panics with it") = now;
                ask.command(now)
            };
            let executed = path.execute::<CreditLedger>(&target, &context, key.as_ref(), command);
            timeout(PATIENCE, executed).await.expect("nothing hangs")
        })
    }

    /// The ledger as a node says it is.
    pub async fn load(&self, path: &CommandPath) -> Loaded<CreditLedger> {
        let loaded = timeout(PATIENCE, path.load::<CreditLedger>(&self.id)).await.expect("nothing hangs");
        loaded.expect("the log can be read")
    }
}

/// Starts a command: it has gone as far as it goes without waiting when this returns. On a warm ledger it is queued.
pub async fn started(mut answer: Answer) -> JoinHandle<Outcome> {
    assert!(futures::poll!(&mut answer).is_pending(), "it was answered at once");
    tokio::spawn(answer)
}

/// What was done: events that must be there, and their position.
#[track_caller]
pub fn done(outcome: Outcome) -> (Vec<CreditLedgerEvent>, i64) {
    match outcome {
        Ok(Executed::Done { events, position }) => (events, position.number),
        other => panic!("not done: {other:?}"),
    }
}

/// What a rule said.
#[track_caller]
pub fn refused(outcome: Outcome) -> CreditLedgerError {
    match outcome {
        Err(CommandError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// A refusal for want of credits.
pub const fn insufficient(required: i64, available: i64) -> CreditLedgerError {
    CreditLedgerError::InsufficientCredits { required: Credits::new(required), available: Credits::new(available) }
}

/// What can be spent of a ledger whose lots do not expire.
pub fn spendable(state: &CreditLedger) -> i64 {
    state.available(DateTime::<Utc>::MAX_UTC).get()
}
