//! `atelier doctor` on standbys: none, one that commits do not wait for, one that they do, and none any more.

use atelier_server::embedded_postgres::{APPLICATION_ROLE, DATABASE};

use super::standby::standby;
use crate::harness::cluster::{Ground, Server};
use crate::harness::process::{Home, until};

/// Doctor's line about replication.
async fn said(home: &Home, leader: &Server) -> String {
    let environment = [("DATABASE_URL".to_owned(), leader.url(APPLICATION_ROLE))];
    let ended = home.start(&["doctor"], &environment).ended().await;
    let line = ended.said.lines().find(|line| line.contains("replication: ")).map(str::to_owned);
    line.unwrap_or_else(|| panic!("nothing about replication: {} {}", ended.said, ended.logged))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_whether_commits_wait_for_a_standby_where_there_is_one() {
    let (home, ground) = (Home::open().await, Ground::open().await);
    let leader = ground.server("leader", &[]).await;
    let alone = said(&home, &leader).await;
    assert!(alone.starts_with("ok") && alone.contains("none is configured"), "{alone}");
    let (mut standby, _line) = standby(&ground, &leader, "standby").await;
    let not_waited_for = said(&home, &leader).await;
    assert!(not_waited_for.starts_with("WRONG") && not_waited_for.contains("1 standbys follow"), "{not_waited_for}");
    leader.alter("synchronous_standby_names", "standby").await;
    let mut superuser = leader.superuser(DATABASE).await;
    until("the setting", async || {
        let names = sqlx::query_scalar::<_, String>("select current_setting('synchronous_standby_names')");
        (names.fetch_one(&mut superuser).await.expect("a setting") == "standby").then_some(())
    })
    .await;
    let waited_for = said(&home, &leader).await;
    assert!(waited_for.starts_with("ok") && waited_for.contains("commits wait for standby"), "{waited_for}");
    standby.kill();
    until("a leader alone", async || {
        let left = sqlx::query_scalar::<_, i64>("select count(*) from pg_stat_replication");
        (left.fetch_one(&mut superuser).await.expect("the leader answers") == 0).then_some(())
    })
    .await;
    let in_vain = said(&home, &leader).await;
    assert!(in_vain.starts_with("WRONG") && in_vain.contains("no standby is connected"), "{in_vain}");
}
