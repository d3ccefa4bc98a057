//! Clients that go away at every stage of a command: the next one on that aggregate is right, and nothing hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use atelier_commands::command_path::Target;
use atelier_commands::{CommandContext, CommandPath};
use atelier_domain::account::{Account, AccountCommand};
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, Actor, KeyClass};
use atelier_server::system::{SystemClock, SystemRandom};
use atelier_vault::{AccountKeyStore, AccountKeys, FileKeyStore, KekRotation, KeyStoreError, Vault};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stage::{Ask, Ledger, Outcome, Stage, done, insufficient, refused, spendable, started};
use super::stores::Gated;
use crate::log::appends::fresh_id;
use crate::log::test_log::{PATIENCE, TestLog, until};

async fn gone(task: JoinHandle<Outcome>) {
    task.abort();
    assert!(task.await.expect_err("it does not end by itself").is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_client_gone_while_the_log_is_read_or_in_front_of_the_aggregate() {
    let stage = Stage::fresh().await;
    let ledger = Ledger::fresh();
    done(ledger.ask(&stage.path(), Ask::grant(100)).await);
    let store = Gated::closed(stage.log.node());
    let path = stage.path_over(store.clone());
    let reading = started(ledger.ask(&path, Ask::hold(60))).await;
    store.until_arrived(1).await;
    let behind = started(ledger.ask(&path, Ask::hold(60))).await;
    let next = started(ledger.ask(&path, Ask::hold(60))).await;
    let last = started(ledger.ask(&path, Ask::hold(60))).await;
    gone(behind).await;
    gone(reading).await;
    // The next one in the row has taken over.
    store.until_arrived(2).await;
    gone(next).await;
    store.until_arrived(3).await;
    store.open_it();
    done(last.await.expect("it ends"));
    assert_eq!(refused(ledger.ask(&path, Ask::hold(60)).await), insufficient(60, 40));
    assert_eq!(stage.history(&ledger).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_client_gone_while_it_waits_for_the_answer_has_its_append_and_everybody_counts_it() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let first = started(ledger.ask(&path, Ask::hold(60))).await;
    stage.log.until_blocked(1).await;
    let on_top = started(ledger.ask(&path, Ask::hold(10))).await;
    let refusal = started(ledger.ask(&path, Ask::hold(90))).await;
    gone(refusal).await;
    gone(first).await;
    // Read from the log, where the first is not yet.
    let next = started(ledger.ask(&path, Ask::hold(60))).await;
    stage.let_others_go_on().await;
    assert!(!next.is_finished());
    held.release().await;
    done(on_top.await.expect("it ends"));
    assert_eq!(refused(next.await.expect("it ends")), insufficient(60, 30));
    assert_eq!(spendable(&ledger.load(&path).await.state), 30);
    assert_eq!(spendable(&stage.truth(&ledger).await), 30);
    assert_eq!(stage.history(&ledger).await.len(), 3, "what was submitted is there, with nobody waiting for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_clients_gone_from_the_middle_of_a_row_cost_nobody_anything() {
    let stage = Stage::fresh().await;
    let (path, ledger) = (stage.path(), Ledger::fresh());
    done(ledger.ask(&path, Ask::grant(100)).await);
    let held = stage.log.hold().await;
    let mut row = Vec::new();
    for number in 0..30 {
        row.push((number, started(ledger.ask(&path, Ask::hold(1))).await));
    }
    stage.log.until_blocked(1).await;
    let mut waiting = Vec::new();
    for (number, answer) in row {
        if number % 3 == 1 {
            gone(answer).await;
        } else {
            waiting.push(answer);
        }
    }
    waiting.push(started(ledger.ask(&path, Ask::hold(70))).await);
    held.release().await;
    for answer in waiting {
        done(answer.await.expect("it ends"));
    }
    assert_eq!(spendable(&stage.truth(&ledger).await), 0);
    assert_eq!(stage.history(&ledger).await.len(), 32);
    assert_eq!(refused(ledger.ask(&path, Ask::hold(1)).await), insufficient(1, 0));
}

/// Keys that are given out while a gate is open.
struct SlowKeys {
    inner: FileKeyStore,
    open: Semaphore,
    asked: AtomicUsize,
}

/// The same keys, for the vault and for the test.
struct Shared(Arc<SlowKeys>);

#[async_trait]
impl AccountKeyStore for Shared {
    async fn create(&self, account: AccountId) -> Result<(), KeyStoreError> {
        self.0.inner.create(account).await
    }

    async fn load(&self, account: AccountId) -> Result<AccountKeys, KeyStoreError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let permit = self.0.open.acquire().await.expect("it is never closed");
        permit.forget();
        self.0.inner.load(account).await
    }

    async fn shred(&self, account: AccountId, class: KeyClass) -> Result<(), KeyStoreError> {
        self.0.inner.shred(account, class).await
    }

    async fn accounts(&self) -> Result<Vec<AccountId>, KeyStoreError> {
        self.0.inner.accounts().await
    }

    async fn shredded(&self) -> Result<Vec<AccountId>, KeyStoreError> {
        self.0.inner.shredded().await
    }

    async fn rotate_kek(&self) -> Result<KekRotation, KeyStoreError> {
        self.0.inner.rotate_kek().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_client_gone_while_its_event_is_sealed_has_done_nothing() {
    let log = TestLog::fresh().await;
    let keys = tempfile::tempdir().expect("a temporary folder");
    let random = Arc::new(SystemRandom);
    let inner = FileKeyStore::open(keys.path(), random.clone()).expect("a key folder");
    let slow = Arc::new(SlowKeys { inner, open: Semaphore::new(0), asked: AtomicUsize::new(0) });
    let vault = Vault::new(Arc::new(Shared(slow.clone())), random.clone());
    let account = AccountId(fresh_id());
    vault.store().create(account).await.expect("keys are made");
    let path = CommandPath::new(log.node(), vault, Arc::new(SystemClock), random);
    let sign_up = |name: &'static str| {
        let path = path.clone();
        tokio::spawn(async move {
            let target = Target { id: account.to_string(), subject: account };
            let context = CommandContext {
                actor: Actor::Operator,
                correlation_id: fresh_id(),
                causation_id: fresh_id(),
                key: None,
            };
            let command = move |_| AccountCommand::Open {
                email: Email::parse(&format!("{name}@example.com")).expect("an address"),
                username: Username::parse(name).expect("a name"),
                minimum_age: 18,
                vouched_by: None,
            };
            path.execute::<Account>(&target, &context, None, command).await
        })
    };
    let sealing = sign_up("first");
    until("somebody seals", async || slow.asked.load(Ordering::SeqCst) == 1).await;
    let next = sign_up("second");
    sealing.abort();
    assert!(sealing.await.expect_err("it does not end by itself").is_cancelled());
    slow.open.add_permits(10);
    let executed = timeout(PATIENCE, next).await.expect("nothing hangs").expect("it ends").expect("the name is free");
    assert_eq!(executed.position().number, 1, "nothing is in front of it");
    assert_eq!(log.dense_ids().await.len(), 1);
    let loaded = path.load::<Account>(&account.to_string()).await.expect("the log can be read");
    assert_eq!(loaded.sequence, 1);
}
