//! The log stays readable by `postgres-es` 0.5's own repository (DESIGN 2): the same stream folds to the same state.

use std::collections::HashMap;

use std::sync::Arc;

use atelier_commands::command_path::Target;
use atelier_commands::event_store::StreamId;
use atelier_commands::{CommandContext, CommandPath};
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerEvent, GrantReason, HoldLimits};
use atelier_domain::{AccountId, Actor, Credits, GenerationId, HoldId, LedgerId, LotId};
use atelier_server::system::{SystemClock, SystemRandom};
use atelier_vault::Vault;
use cqrs_es::Aggregate;
use cqrs_es::persist::PersistedEventRepository;
use postgres_es::PostgresEventRepository;

use super::appends::fresh_id;
use super::test_log::TestLog;

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_stream_of_ours_is_read_and_folded_by_the_stock_repository() {
    let log = TestLog::fresh().await;
    let keys = tempfile::tempdir().expect("a temporary folder");
    let random = Arc::new(SystemRandom);
    let vault = Vault::open_folder(keys.path(), random.clone()).expect("a key folder");
    let path = CommandPath::new(log.node(), vault, Arc::new(SystemClock), random);
    let account = AccountId(fresh_id());
    let ledger = LedgerId::live(account).to_string();
    let target = Target { id: ledger.clone(), subject: account };
    let id = fresh_id();
    let context = CommandContext { actor: Actor::Account(account), correlation_id: id, causation_id: id, key: None };
    let credits = Credits::new;
    let (lot, hold) = (LotId(fresh_id()), HoldId(fresh_id()));
    for step in 0..3 {
        let command = |now| match step {
            0 => CreditLedgerCommand::GrantCredits {
                lot_id: lot,
                reason: GrantReason::Gift,
                amount: credits(500),
                expires_at: None,
                now,
            },
            1 => CreditLedgerCommand::PlaceHold {
                hold_id: hold,
                generation_id: GenerationId::from(hold),
                amount: credits(120),
                price_version: 1,
                limits: HoldLimits::default(),
                now,
            },
            _ => CreditLedgerCommand::CaptureHold { hold_id: hold, amount: credits(100), now },
        };
        path.execute::<CreditLedger>(&target, &context, None, command).await.expect("no rule refuses");
    }
    let ours = path.load::<CreditLedger>(&ledger).await.expect("the log can be read");

    let repository = PostgresEventRepository::new(log.database.pool.clone());
    let stored = repository.get_events::<CreditLedger>(&ledger).await.expect("the stock repository reads it");
    let mut stock = CreditLedger::default();
    for event in &stored {
        assert_eq!((event.aggregate_type.as_str(), event.aggregate_id.as_str()), (CreditLedger::TYPE, ledger.as_str()));
        // What cqrs-es reads metadata as.
        let metadata: HashMap<String, String> =
            serde_json::from_value(event.metadata.clone()).expect("a map of strings");
        assert_eq!(metadata["actor"], format!("account:{account}"));
        let event: CreditLedgerEvent = serde_json::from_value(event.payload.clone()).expect("our event");
        stock.apply(event);
    }
    let names: Vec<&str> = stored.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(names, ["CreditsGranted", "HoldPlaced", "HoldCaptured"]);
    assert_eq!(stored.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(stock, ours.state);
    assert_eq!(stock.available(ours.decided_at.expect("three events")), credits(400), "and it is not the empty state");

    // Its appender would give no positions; the application's role cannot use it.
    let stream = StreamId { aggregate_type: CreditLedger::TYPE, aggregate_id: ledger };
    let mut another = stored[2].clone();
    another.sequence = 4;
    repository.persist::<CreditLedger>(&[another], None).await.expect_err("only append_events appends");
    assert_eq!(path.store().load(&stream, 0).await.expect("the log can be read").len(), 3);
}
