//! `postgres-es`'s own repository reads every stream of our log and folds it to the state that the command path has (DESIGN 2).

use std::collections::BTreeMap;

use atelier_commands::command_path::Commanded;
use atelier_commands::event_store::{Append, StreamId};
use atelier_domain::account::Account;
use atelier_domain::credit_ledger::{CreditLedger, GrantReason};
use atelier_domain::generation::Generation;
use atelier_domain::upcast::upcasters;
use atelier_domain::{AccountId, LedgerId};
use cqrs_es::EventStore as _;
use cqrs_es::persist::PersistedEventStore;
use postgres_es::PostgresEventRepository;
use serde_json::{Value, json};

use crate::harness::TestStudio;
use crate::log::appends::{append_payload, fresh_id, written};

const NO_WAIT: &[(&str, &str)] = &[("prefer", "wait=0")];

/// A studio in which a bit of everything has happened.
async fn lively() -> TestStudio {
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    studio.signed_up("ben").await;
    let (key_id, key) = studio.api_key(&ada).await;
    let picture = json!({ "prompt": "A calm ocean at dawn", "model": "z-image-turbo", "width": 64, "height": 64 });
    let delivered = studio.post("/v1/generate", &key, &picture).await;
    assert_eq!(delivered.status.as_u16(), 200, "{}", delivered.text);
    studio.drain().await;
    studio.hold_renders().await;
    let queued = studio.post_with("/v1/generate", &key, &picture, NO_WAIT).await.json();
    let id = queued["request_id"].as_str().expect("an id").to_owned();
    let cancelled = studio.post(&format!("/v1/generations/{id}/cancel"), &key, &json!({})).await;
    assert_eq!(cancelled.status.as_u16(), 200, "{}", cancelled.text);
    studio.release_renders().await;
    let token = Some(ada.token.as_str());
    let switch = "mutation { setPublishToExplore(input: {publish: false}) { userErrors { code } } }";
    studio.graphql(token, switch, json!({})).await;
    let rename = "mutation { updateProfile(input: {displayName: \"Ada L.\"}) { userErrors { code } } }";
    studio.mutate(token, rename, json!({})).await;
    let revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { userErrors { code } } }";
    studio.mutate(token, revoke, json!({ "id": key_id })).await;
    studio.drain().await;
    studio
}

/// A ledger that an older release began: its first event in version 1, what came later in today's.
async fn old_ledger(studio: &TestStudio) -> String {
    let ledger = LedgerId::live(AccountId(fresh_id())).to_string();
    let form = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("event_forms/CreditLedger.CreditsGranted.v1.json");
    let form = std::fs::read_to_string(form).expect("the form is committed");
    let mut append: Append = append_payload("", 0, &form);
    append.stream = StreamId { aggregate_type: "CreditLedger", aggregate_id: ledger.clone() };
    append.events[0].event_type = "CreditsGranted".to_owned();
    written(studio.node.studio.write.path.store().append(append).await);
    ledger
}

/// The stock store's state of one stream is ours, and is not the empty one.
async fn compare<A: Commanded>(studio: &TestStudio, id: &str) -> A {
    let repository = PostgresEventRepository::new(studio.database.pool.clone());
    let store = PersistedEventStore::<_, A>::new_event_store(repository).with_upcasters(upcasters());
    let stock = store.load_aggregate(id).await.expect("the stock store loads it");
    let ours = studio.node.studio.write.path.load::<A>(id).await.expect("the log can be read");
    let sequence = i64::try_from(stock.current_sequence).expect("a sequence");
    assert_eq!((stock.aggregate_id.as_str(), sequence), (id, ours.sequence));
    let value = |state: &A| -> Value { serde_json::to_value(state).expect("a state") };
    assert_eq!(value(&stock.aggregate), value(&ours.state), "{} {id}", A::TYPE);
    assert_ne!(value(&ours.state), value(&A::default()), "{} {id}", A::TYPE);
    ours.state
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_every_stream_of_a_lively_log_is_folded_by_the_stock_repository_as_by_us() {
    let studio = lively().await;
    let old = old_ledger(&studio).await;
    let streams: Vec<(String, String)> =
        sqlx::query_as("select distinct aggregate_type, aggregate_id from events order by 1, 2")
            .fetch_all(&studio.database.pool)
            .await
            .expect("the log answers");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (aggregate_type, id) in &streams {
        match aggregate_type.as_str() {
            "Account" => drop(compare::<Account>(&studio, id).await),
            "CreditLedger" => drop(compare::<CreditLedger>(&studio, id).await),
            "Generation" => drop(compare::<Generation>(&studio, id).await),
            other => panic!("a stream of a kind that nobody folds here: {other}"),
        }
        *counts.entry(aggregate_type).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("Account", 2), ("CreditLedger", 2), ("Generation", 2)]));
    let state = compare::<CreditLedger>(&studio, &old).await;
    assert_eq!(state.lots().first().map(|lot| lot.terms.reason), Some(GrantReason::Unrecorded), "upcast on both ways");
    studio.stop().await;
}
