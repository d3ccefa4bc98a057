//! What every event store promises by the port alone (DESIGN 3.9), written for any adapter: a fixture gives two nodes over one
//! fresh log. The PostgreSQL adapter runs it here; a later adapter adds one line.

use std::collections::HashMap;
use std::sync::Arc;

use atelier_commands::event_store::{Append, AppendError, EventStore, Position, StreamId};

use futures::future::join_all;

use super::appends::{Verdict, append, append_many, append_payload, fresh_id, ids, on_top_of, stream, written};
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
            p8_the_same_append_sent_again_is_written_once,
            d3_appends_of_one_stream_are_tried_in_the_order_of_their_places,
            d3_p2_what_stands_on_an_append_is_written_only_on_that_one,
            p9_each_append_of_many_at_once_has_the_position_of_its_last_event
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
    assert_eq!(node.head().await.expect("a head").number, 0);
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
    assert!(stored.is_sorted_by(|before, after| before.position.number < after.position.number));
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
    let mut last = Position::default();
    for number in 0..20 {
        let position = written(nodes[number % 2].append(append_many(&format!("s{number}"), 0, 1 + number % 3)).await);
        assert!(position.number > last.number, "what is acknowledged first stands first, whichever node wrote it");
        let head = nodes[(number + 1) % 2].head().await.expect("a head");
        assert!(head.number >= position.number, "what is acknowledged is seen by everybody");
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

/// Gives each its place in the queue before any is answered.
async fn at_once(node: &Arc<dyn EventStore>, appends: Vec<Append>) -> Vec<Verdict> {
    join_all(appends.into_iter().map(|append| node.submit(append).expect("there is a place"))).await
}

/// Appends of one stream, each decided on the one in front of it.
fn row(id: &str, sizes: impl IntoIterator<Item = usize>) -> Vec<Append> {
    let (mut sequence, mut last) = (0, None);
    let mut row = Vec::new();
    for size in sizes {
        let next = append_many(id, sequence, size);
        let next = match last {
            Some(last) => on_top_of(last, next),
            None => next,
        };
        sequence += i64::try_from(size).expect("a small append");
        last = ids(&next).last().copied();
        row.push(next);
    }
    row
}

async fn d3_appends_of_one_stream_are_tried_in_the_order_of_their_places([node, other]: Nodes) {
    // More than one batch, however large those are.
    let rows = ["one", "two"].map(|id| row(id, (0..600).map(|number| 1 + number % 2)));
    let ordered = rows.clone();
    let mixed = rows[0].iter().zip(&rows[1]).flat_map(|(one, two)| [one.clone(), two.clone()]).collect();
    let positions: Vec<Position> = at_once(&node, mixed).await.into_iter().map(written).collect();
    assert!(positions.is_sorted_by(|before, after| before.number < after.number), "in the order of their places");
    for (id, row) in ["one", "two"].into_iter().zip(ordered) {
        let stored = other.load(&stream(id), 0).await.expect("the log can be read");
        let stored: Vec<_> = stored.into_iter().map(|event| event.event_id.0).collect();
        assert_eq!(stored, row.iter().flat_map(ids).collect::<Vec<_>>());
    }
}

async fn d3_p2_what_stands_on_an_append_is_written_only_on_that_one([node, other]: Nodes) {
    written(node.append(append("one", 0)).await);
    let theirs = append("one", 1);
    written(other.append(theirs.clone()).await);
    // Ours has lost its place. What stands on it would have a free one, behind an event that it has never heard of.
    let ours = append("one", 1);
    let on_top = on_top_of(ids(&ours)[0], append("one", 2));
    let further = on_top_of(ids(&on_top)[0], append("one", 3));
    let verdicts = at_once(&node, vec![ours.clone(), on_top.clone(), append("two", 0), further]).await;
    let conflict = Err(AppendError::Conflict);
    assert_eq!([&verdicts[0], &verdicts[1], &verdicts[3]], [&conflict; 3], "what was queued behind it");
    written(verdicts[2].clone());
    assert_eq!(node.append(on_top).await, conflict, "also when it comes later");
    assert_eq!(sequences(&node, &stream("one")).await, [1, 2]);
    // On what is there it is written, whoever wrote that; and it is the last event of an append that counts.
    let several = on_top_of(ids(&theirs)[0], append_many("one", 2, 3));
    written(node.append(several.clone()).await);
    assert_eq!(other.append(on_top_of(ids(&several)[1], append("one", 5))).await, conflict);
    assert_eq!(other.append(on_top_of(ids(&several)[2], append("one", 4))).await, conflict);
    written(other.append(on_top_of(ids(&several)[2], append("one", 5))).await);
    assert_eq!(sequences(&node, &stream("one")).await, [1, 2, 3, 4, 5, 6]);
}

async fn p9_each_append_of_many_at_once_has_the_position_of_its_last_event([node, other]: Nodes) {
    // All good, and then with a conflict among them: a log may answer the two in different ways.
    for round in ["good", "mixed"] {
        let name = |number: usize| format!("{round}-{number}");
        let mut appends: Vec<Append> =
            (0..60).map(|number| append_many(&name(number % 30), 0, 1 + number % 4)).collect();
        for number in 30..60 {
            let below = appends[number - 30].clone();
            let last = *ids(&below).last().expect("an event");
            appends[number].expected_sequence = i64::try_from(below.events.len()).expect("few");
            appends[number] = on_top_of(last, appends[number].clone());
        }
        if round == "mixed" {
            appends.insert(17, append("good-0", 0));
        }
        let verdicts = at_once(&node, appends.clone()).await;
        let mut positions = HashMap::new();
        for number in 0..30 {
            let stored = other.load(&stream(&name(number)), 0).await.expect("the log can be read");
            positions.extend(stored.into_iter().map(|event| (event.event_id.0, event.position)));
        }
        for (append, verdict) in appends.iter().zip(verdicts) {
            match positions.get(ids(append).last().expect("an event")) {
                Some(position) => assert_eq!(written(verdict), *position),
                None => assert_eq!((round, verdict), ("mixed", Err(AppendError::Conflict))),
            }
        }
    }
}
