//! The place for snapshots: one for each stream, of one form, and nothing of it is ever needed.

use std::sync::Arc;

use atelier_commands::event_store::{Snapshot, SnapshotStore};
use atelier_domain::EventId;

use super::appends::{fresh_id, stream};
use super::test_log::TestLog;

fn snapshot(last_sequence: i64, state: &str) -> Snapshot {
    Snapshot { last_sequence, last_event: EventId(fresh_id()), state: state.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_snapshot_takes_the_place_of_all_others_of_its_stream() {
    let log = TestLog::fresh().await;
    let store: Arc<dyn SnapshotStore> = log.node();
    let (one, two) = (stream("one"), stream("two"));
    let latest = async |of, form| store.latest(of, form).await.expect("the store answers");
    let keep = async |of, form, kept: &Snapshot| store.keep(of, form, kept).await.expect("the store takes it");
    assert_eq!(latest(&one, "1").await, None);
    let (first, second) = (snapshot(10, "{\"b\": 1,  \"a\":2}"), snapshot(20, "[]"));
    keep(&one, "1", &first).await;
    keep(&two, "1", &second).await;
    assert_eq!((latest(&one, "1").await, latest(&two, "1").await), (Some(first.clone()), Some(second.clone())));
    keep(&one, "1", &second).await;
    assert_eq!(latest(&one, "1").await, Some(second.clone()));
    // Written in the background, an older one may come late.
    keep(&one, "1", &first).await;
    assert_eq!(latest(&one, "1").await, Some(second.clone()));
    // Of the same event again, as two nodes may leave it.
    let again = Snapshot { state: "{}".to_owned(), ..second.clone() };
    keep(&one, "1", &again).await;
    assert_eq!(latest(&one, "1").await, Some(again));
    // A release with another form sees none of this one, and what it leaves is none of this one's.
    assert_eq!(latest(&one, "2").await, None);
    keep(&one, "2", &first).await;
    assert_eq!((latest(&one, "1").await, latest(&one, "2").await), (None, Some(first)));
    store.discard(&one).await.expect("the store forgets it");
    assert_eq!((latest(&one, "2").await, latest(&two, "1").await), (None, Some(second)));
}
