//! A backup is put under running nodes: the base backup and the archived log up to a point of the past, after which orders had been
//! acknowledged.

use std::fs;

use atelier_server::embedded_postgres::DATABASE;
use sqlx::Executor;

use super::stage::{Stage, head};
use super::told::Crowd;
use crate::harness::cluster::Ground;
use crate::harness::process::until;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_recovery_to_a_point_in_time_every_answer_is_about_the_log_that_is_there() {
    let ground = Ground::open().await;
    let archive = ground.path().join("archive");
    fs::create_dir(&archive).expect("our own folder");
    ground.open_to_servers(&archive);
    let keep = format!("archive_command=cp %p {}/%f", archive.display());
    let mut leader = ground.server("leader", &["archive_mode=on", &keep]).await;
    let mut backup = ground.copy("backup", &leader).await;
    let stage = Stage::open(ground, &leader).await;
    let mut crowd = Crowd::gather(&stage.visitors(), &stage.members, &stage.memory);
    crowd.acknowledges(30).await;
    leader.superuser(DATABASE).await.execute("select pg_create_restore_point('here')").await.expect("a point");
    crowd.acknowledges(30).await;
    let written = head(&leader).await;
    // The rest of the segment goes to the archive as well: the recovery stops at its point, not for want of log.
    let mut superuser = leader.superuser(DATABASE).await;
    let last: String = sqlx::query_scalar("select pg_walfile_name(pg_switch_wal())")
        .fetch_one(&mut superuser)
        .await
        .expect("a switch");
    until("the archive", async || archive.join(&last).exists().then_some(())).await;
    leader.kill();
    stage.line.cut();
    backup.write(&stage.ground, "recovery.signal", "");
    let restore = format!("restore_command=cp {}/%f %p", archive.display());
    let target = ["recovery_target_name=here", "recovery_target_action=promote", &restore];
    backup.start(&stage.ground, &target).await;
    let mut superuser = backup.superuser(DATABASE).await;
    until("the end of the recovery", async || {
        let recovering = sqlx::query_scalar::<_, bool>("select pg_is_in_recovery()").fetch_one(&mut superuser).await;
        (!recovering.expect("the backup answers")).then_some(())
    })
    .await;
    let left = head(&backup).await;
    assert!(left < written, "nothing is lost: {left} of {written}");
    stage.exchange(&backup);
    let beyond = written + 50;
    while head(&backup).await < beyond {
        crowd.acknowledges(5).await;
    }
    crowd.disperse().await;
    let lost = stage.tells_the_truth(&backup).await;
    assert!(lost > 0, "no acknowledged order was lost");
}
