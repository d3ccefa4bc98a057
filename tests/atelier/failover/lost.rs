//! An asynchronous standby falls behind, the leader dies, the standby takes its place: acknowledged orders are lost.

use super::stage::{Stage, head};
use super::standby::standby;
use super::told::Crowd;
use crate::harness::cluster::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_that_loses_commits_every_answer_is_about_the_log_that_is_there() {
    let ground = Ground::open().await;
    let mut leader = ground.server("leader", &[]).await;
    let (standby, link) = standby(&ground, &leader, "standby").await;
    let stage = Stage::open(ground, &leader).await;
    let mut crowd = Crowd::gather(&stage.visitors(), &stage.members, &stage.memory);
    crowd.acknowledges(30).await;
    // Some jobs of before the cut are in the middle of their way: their ends are lost, and must come again.
    link.cut();
    crowd.acknowledges(30).await;
    let written = head(&leader).await;
    leader.kill();
    standby.promote().await;
    let left = head(&standby).await;
    assert!(left < written, "nothing is lost: {left} of {written}");
    stage.exchange(&standby);
    // The lost positions are taken by other events, as many as there were.
    let beyond = written + 50;
    while head(&standby).await < beyond {
        crowd.acknowledges(5).await;
    }
    crowd.disperse().await;
    assert!(stage.memory.unanswered() > 0, "a failover that nobody noticed proves nothing");
    let lost = stage.tells_the_truth(&standby).await;
    assert!(lost > 0, "no acknowledged order was lost");
}
