//! The private PostgreSQL dies beneath its node: it is started again, or the node ends and says why.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::harness::process::{Home, kill, until};
use crate::harness::visitor::Visitor;

/// Waits until the node says that it is ready.
async fn ready(visitor: &Visitor) {
    until("the node to be ready", async || {
        (visitor.get("/health/ready", None).await.status.as_u16() == 200).then_some(())
    })
    .await;
}

/// How soon a node is ready again after the postmaster was killed: what operators are promised, and so a bound of this test's.
const READY_AGAIN: Duration = Duration::from_secs(10);

/// Waits until the node is ready, which it must be in time.
async fn ready_again(visitor: &Visitor, killed: Instant, what: &str) {
    ready(visitor).await;
    let took = killed.elapsed();
    eprintln!("{what}: ready again after {took:?}");
    assert!(took < READY_AGAIN, "{what}: {took:?}");
}

/// A sign-up, which appends and reads; its refusals, if any.
async fn signs_up(visitor: &Visitor, name: &str) {
    let sign_up = "mutation($input: SignUpInput!) { signUp(input: $input) { userErrors { code } } }";
    let input = json!({
        "email": format!("{name}@example.com"), "password": "correct-horse-1", "username": name, "minimumAge": 18
    });
    visitor.graphql(None, sign_up, json!({ "input": input })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_private_postgresql_that_dies_is_started_again_by_its_node() {
    let home = Home::open().await;
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    signs_up(&visitor, "ada").await;
    let killed = home.postmaster().expect("it runs");
    // The postmaster alone, as a person would.
    let at = Instant::now();
    kill(killed);
    until("another postmaster", async || home.postmaster().filter(|pid| *pid != killed)).await;
    ready_again(&visitor, at, "the postmaster alone").await;
    signs_up(&visitor, "bob").await;
    // All of its processes at once, as the kernel does when memory is short.
    let at = Instant::now();
    home.kill_postgres(std::future::ready(())).await;
    ready_again(&visitor, at, "all of its processes").await;
    signs_up(&visitor, "carol").await;
    served.still_runs();
    // And again in order.
    let ended = served.stop("TERM").await;
    assert_eq!(ended.code, Some(0), "{}", ended.logged);
    assert_eq!(home.postmaster(), None, "the one that was started again is stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_node_whose_postgresql_cannot_be_started_again_ends_with_an_error() {
    let home = Home::open().await;
    let mut served = home.serve(&[]);
    served.listening().await;
    // Nothing can be started from a damaged folder; it is put right afterwards, so that the test leaves no server behind.
    let control = home.postgres().join("cluster/global/pg_control");
    let aside = control.with_extension("aside");
    std::fs::rename(&control, &aside).expect("our own folder");
    home.kill_postgres(std::future::ready(())).await;
    let ended = served.ended().await;
    std::fs::rename(&aside, &control).expect("our own folder");
    assert_eq!(ended.code, Some(1), "{}", ended.logged);
    let last = ended.logged.lines().last().unwrap_or_default();
    assert!(last.contains("pg_ctl start failed"), "{}", ended.logged);
}
