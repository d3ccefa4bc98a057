//! A leader's standby, over a line that can be cut.

use atelier_server::embedded_postgres::DATABASE;

use crate::harness::cluster::{Ground, Server};
use crate::harness::line::Line;
use crate::harness::process::until;

/// A standby that follows a leader, and the line by which it does.
pub async fn standby(ground: &Ground, leader: &Server, name: &str) -> (Server, Line) {
    let line = Line::to(leader.socket()).await;
    let mut standby = ground.copy(name, leader).await;
    let (host, port) = (line.address.ip(), line.address.port());
    let follows = format!("primary_conninfo = 'host={host} port={port} user=postgres application_name={name}'\n");
    standby.write(ground, "postgresql.auto.conf", &follows);
    standby.write(ground, "standby.signal", "");
    standby.start(ground, &[]).await;
    follows_closely(leader, &standby).await;
    (standby, line)
}

/// Waits until a standby has applied what its leader has written by now.
async fn follows_closely(leader: &Server, standby: &Server) {
    let written = sqlx::query_scalar("select pg_current_wal_lsn()::text");
    let written: String = written.fetch_one(&mut leader.superuser(DATABASE).await).await.expect("the leader answers");
    let mut reading = standby.superuser(DATABASE).await;
    let applied = "select coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
    until("a standby that has followed", async || {
        let applied = sqlx::query_scalar::<_, bool>(applied).bind(&written).fetch_one(&mut reading).await;
        applied.expect("the standby answers").then_some(())
    })
    .await;
}
