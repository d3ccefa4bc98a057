//! A synchronous standby takes the place of a leader that died under load: nothing that was acknowledged is lost, and nobody is alarmed.

use super::stage::{Stage, head};
use super::standby::standby;
use super::told::Crowd;
use crate::harness::cluster::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_loses_nothing_leaves_every_job_and_every_position_valid() {
    let ground = Ground::open().await;
    let mut leader = ground.server("leader", &[]).await;
    let (standby, _link) = standby(&ground, &leader, "standby").await;
    leader.alter("synchronous_standby_names", "*").await;
    let stage = Stage::open(ground, &leader).await;
    let mut crowd = Crowd::gather(&stage.visitors(), &stage.members, &stage.memory);
    crowd.acknowledges(30).await;
    let seen = head(&leader).await;
    leader.kill();
    stage.line.cut();
    standby.promote().await;
    assert!(head(&standby).await >= seen, "what could be read on the leader is on the standby");
    stage.exchange(&standby);
    crowd.acknowledges(30).await;
    crowd.disperse().await;
    assert!(stage.memory.unanswered() > 0, "a failover that nobody noticed proves nothing");
    assert_eq!(stage.tells_the_truth(&standby).await, 0, "acknowledged orders are lost");
}
