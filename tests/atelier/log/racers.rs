//! Writers that race each other for the same few streams and try again on a conflict, and what must be true afterwards.

use std::collections::HashSet;
use std::sync::Arc;

use atelier_commands::event_store::{AppendError, Appended, EventStore};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::appends::{append_many, ids, stream};

/// How many streams are raced for.
pub const STREAMS: usize = 5;

/// An append that was acknowledged: the position and id of its last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    pub position: i64,
    pub event_id: Uuid,
}

/// The name of a stream that is raced for.
pub fn raced(number: usize) -> String {
    format!("raced-{}", number % STREAMS)
}

/// Runs `tasks` writers over the nodes, each making `appends` appends of one or two events; all are acknowledged in the end.
pub async fn race(nodes: &[Arc<dyn EventStore>], tasks: usize, appends: usize) -> Vec<Acknowledged> {
    let mut racers = JoinSet::new();
    for task in 0..tasks {
        let node = nodes[task % nodes.len()].clone();
        racers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..appends {
                acknowledged.push(insist(node.as_ref(), &raced(task + number), 1 + number % 2).await);
            }
            acknowledged
        });
    }
    racers.join_all().await.into_iter().flatten().collect()
}

async fn insist(node: &dyn EventStore, name: &str, events: usize) -> Acknowledged {
    let mut sequence = 0;
    loop {
        let tail = node.load(&stream(name), sequence).await.expect("the log can be read");
        sequence = tail.last().map_or(sequence, |event| event.sequence);
        let append = append_many(name, sequence, events);
        let event_id = *ids(&append).last().expect("at least one event");
        match node.append(append).await {
            Ok(Appended::Written { position }) => return Acknowledged { position: position.number, event_id },
            Err(AppendError::Conflict) => {}
            other => panic!("neither written nor a conflict: {other:?}"),
        }
    }
}

/// Each raced stream is gapless and in the order of positions, and holds `events` events in all.
pub async fn assert_streams(node: &dyn EventStore, events: usize) {
    let mut positions = HashSet::new();
    for number in 0..STREAMS {
        let stored = node.load(&stream(&raced(number)), 0).await.expect("the log can be read");
        assert!(stored.iter().zip(1..).all(|(event, sequence)| event.sequence == sequence), "gapless: {stored:?}");
        assert!(
            stored.is_sorted_by(|before, after| before.position.number < after.position.number),
            "in order: {stored:?}"
        );
        positions.extend(stored.iter().map(|event| event.position));
    }
    assert_eq!(positions.len(), events, "no acknowledged event is missing, and no other is there");
}
