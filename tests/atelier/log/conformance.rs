//! What every event store promises by the port alone (DESIGN 3.9), written for any adapter: a fixture gives two nodes over one
//! fresh log. The PostgreSQL adapter runs it here; a later adapter adds one line.

use std::sync::Arc;

use atelier_commands::event_store::{Append, AppendError, EventStore, Position, StreamId};

use super::appends::{append, append_many, append_payload, fresh_id, ids, on_top_of, stream, written};
use super::racers::{assert_streams, race};
use super::test_log::TestLog;

type Nodes = [Arc<dyn EventStore>; 2];

/// Makes each promise a test of one adapter. The fixture is an async function that gives the nodes and what keeps them alive.
macro_rules! conforms {
    ($adapter:ident: $fixture:path) => {
        conforms!(@tests $adapter $fixture;
            p9_an_append_is_loaded_as_it_was_given,
            p2_a_stale_append_conflicts_and_writes_nothing,
            p9_streams_of_two_types_with_one_id_do_not_meet,
            p9_a_later_append_has_a_later_position_and_the_head_follows,
            p2_p6_racing_nodes_lose_nothing_and_repeat_nothing,
            p8_the_same_append_sent_again_is_written_once
        );
    };
    (@tests $adapter:ident $fixture:path; $($promise:ident),+) => {
        mod $adapter {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let (nodes, _guard) = $fixture().await;
                super::$promise(nodes).await;
            })+
        }
    };
}

conforms!(postgres: super::two_nodes);

async fn two_nodes() -> (Nodes, TestLog) {
    let log = TestLog::fresh().await;
    ([log.node(), log.node()], log)
}

async fn sequences(node: &Arc<dyn EventStore>, stream: &StreamId) -> Vec<i64> {
    let stored = node.load(stream, 0).await.expect("the log can be read");
    stored.into_iter().map(|event| event.sequence).collect()
}

async fn p9_an_append_is_loaded_as_it_was_given([node, other]: Nodes) {
    assert_eq!(node.head().await.expect("a head"), Position(0));
    // Spaces and key order are part of the bytes: the stored form never changes.
    let payload = "{\"b\": 1,  \"a\":\"\\u00e9 \u{1f5bc}\"}";
    let mut given = append_payload("one", 0, payload);
    given.events.extend(append_many("one", 0, 2).events);
    given.events[1].event_type = "Renamed".to_owned();
    given.events[2].event_version = "2".to_owned();
    let events = given.events.clone();
    let position = written(node.append(given).await);
    let stored = other.load(&stream("one"), 0).await.expect("the log can be read");
    assert_eq!(stored.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(stored.is_sorted_by(|before, after| before.position < after.position));
    assert_eq!(stored[2].position, position, "an append's position is its last event's");
    for (stored, given) in stored.iter().zip(&events) {
        assert_eq!(stored.payload, given.payload, "byte for byte");
        assert_eq!((&stored.event_type, &stored.event_version), (&given.event_type, &given.event_version));
        assert_eq!(stored.decided_at, given.decided_at, "to the microsecond");
    }
    let tail = other.load(&stream("one"), 2).await.expect("the log can be read");
    assert_eq!((tail.len(), tail[0].sequence), (1, 3));
    assert!(other.load(&stream("none"), 0).await.expect("the log can be read").is_empty());
}

async fn p2_a_stale_append_conflicts_and_writes_nothing([node, other]: Nodes) {
    let missing = on_top_of(fresh_id(), append("one", 5));
    assert_eq!(node.append(missing).await, Err(AppendError::Conflict), "what it stands on is not there");
    written(node.append(append("one", 0)).await);
    assert_eq!(other.append(append("one", 0)).await, Err(AppendError::Conflict), "the stream exists");
    let ahead = on_top_of(fresh_id(), append("one", 3));
    assert_eq!(other.append(ahead).await, Err(AppendError::Conflict), "ahead of its stream");
    let elses = on_top_of(fresh_id(), append("one", 1));
    assert_eq!(other.append(elses).await, Err(AppendError::Conflict), "decided on an event that did not come to be");
    written(other.append(append("one", 1)).await);
    let head = node.head().await.expect("a head");
    // Its second and third event would have had free places: all or none.
    assert_eq!(node.append(append_many("one", 1, 3)).await, Err(AppendError::Conflict));
    assert_eq!(sequences(&other, &stream("one")).await, [1, 2]);
    assert_eq!(node.head().await.expect("a head"), head);
    written(node.append(append_many("one", 2, 3)).await);
    assert_eq!(sequences(&other, &stream("one")).await, [1, 2, 3, 4, 5]);
}

async fn p9_streams_of_two_types_with_one_id_do_not_meet([node, _]: Nodes) {
    let other = StreamId { aggregate_type: "Other", aggregate_id: "one".to_owned() };
    written(node.append(append("one", 0)).await);
    written(node.append(Append { stream: other.clone(), ..append_many("one", 0, 2) }).await);
    assert_eq!((sequences(&node, &stream("one")).await, sequences(&node, &other).await), (vec![1], vec![1, 2]));
}

async fn p9_a_later_append_has_a_later_position_and_the_head_follows(nodes: Nodes) {
    let mut last = Position(0);
    for number in 0..20 {
        let position = written(nodes[number % 2].append(append_many(&format!("s{number}"), 0, 1 + number % 3)).await);
        assert!(position > last, "what is acknowledged first stands first, whichever node wrote it");
        let head = nodes[(number + 1) % 2].head().await.expect("a head");
        assert!(head >= position, "what is acknowledged is seen by everybody");
        last = position;
    }
}

async fn p2_p6_racing_nodes_lose_nothing_and_repeat_nothing(nodes: Nodes) {
    let mut acknowledged = race(&nodes, 8, 8).await;
    assert_eq!(acknowledged.len(), 64);
    acknowledged.sort_by_key(|one| one.position);
    acknowledged.dedup_by_key(|one| one.position);
    assert_eq!(acknowledged.len(), 64, "no two appends share a position");
    assert_streams(nodes[0].as_ref(), 96).await;
}

async fn p8_the_same_append_sent_again_is_written_once([node, other]: Nodes) {
    written(node.append(append("one", 0)).await);
    let sent = append_many("one", 1, 2);
    let first = written(node.append(sent.clone()).await);
    written(node.append(append("two", 0)).await);
    assert_eq!(written(node.append(sent.clone()).await), first, "already written: ours");
    assert_eq!(written(other.append(sent.clone()).await), first, "whichever node asks");
    // The same events for another place are not the same append.
    let elsewhere = Append { expected_sequence: 0, ..sent.clone() };
    assert_eq!(other.append(elsewhere).await, Err(AppendError::Conflict));
    assert_eq!(sequences(&node, &stream("one")).await, [1, 2, 3]);
    assert_eq!(ids(&sent).len(), 2);
}
