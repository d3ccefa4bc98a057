//! The key-encrypting key is rotated while the studio works: no request fails, and no event changes (E7).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::process::{Home, until};
use crate::harness::visitor::Visitor;

const ME: &str = "{ me { profile { displayName email } apiKeys { edges { node { label } } } } }";
const RENAME: &str =
    "mutation($name: String!) { updateProfile(input: { displayName: $name }) { position userErrors { code } } }";

/// What the log says, byte for byte, up to a position.
async fn digest(home: &Home, until: i64) -> String {
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    let sql = "select md5(string_agg(md5(e::text), '' order by position)) from events e where position <= $1";
    sqlx::query_scalar(sql).bind(until).fetch_one(&mut admin).await.expect("the log answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn e7_the_key_encrypting_key_is_rotated_under_load_without_downtime() {
    let home = Home::open().await;
    let mut served = home.serve_with(&["--demo"], &[]);
    let url = served.listening().await.url;
    until("the demo studio", async || home.data().join("demo.env").exists().then_some(())).await;
    let visitor = Visitor::of(url);
    let token = visitor.sign_in("demo@demo.example", "atelier-demo-1").await;
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    let head: i64 =
        sqlx::query_scalar("select max(position) from events").fetch_one(&mut admin).await.expect("the log answers");
    drop(admin);
    let before = digest(&home, head).await;
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async {
        let mut name = 0;
        while !stop.load(Ordering::SeqCst) {
            name += 1;
            // Seals with the account's key, then opens with it; either fails the test if it fails.
            let variables = json!({ "name": format!("Demo {name}") });
            let renamed = visitor.graphql(Some(&token), RENAME, variables).await;
            let query = "query($at: String!) { me(minPosition: $at) { profile { displayName email } } }";
            let me = visitor.graphql(Some(&token), query, json!({ "at": renamed["position"] })).await;
            assert_eq!(me["profile"]["displayName"], json!(format!("Demo {name}")));
            assert_eq!(me["profile"]["email"], json!("demo@demo.example"));
            done.fetch_add(1, Ordering::SeqCst);
        }
    };
    let rotations = async {
        for epoch in 2..=4 {
            let rotated = home.run(&["keys", "rotate"]).await;
            assert!(rotated.said.contains(&format!("key {epoch} is in use")), "{}", rotated.said);
            let already = done.load(Ordering::SeqCst);
            while done.load(Ordering::SeqCst) == already {
                tokio::task::yield_now().await;
            }
        }
        stop.store(true, Ordering::SeqCst);
    };
    futures::join!(load, rotations);
    let keks: Vec<_> = std::fs::read_dir(home.data().join("keys/kek")).expect("the keys are there").collect();
    assert_eq!(keks.len(), 1, "older keys are destroyed");
    assert_eq!(digest(&home, head).await, before, "no event is rewritten");
    served.stop("INT").await;
    // A node that starts anew reads everything with the new key alone.
    let mut served = home.serve_with(&[], &[]);
    let visitor = Visitor::of(served.listening().await.url);
    let me = visitor.graphql(Some(&token), ME, json!({})).await;
    assert_eq!(me["profile"]["email"], json!("demo@demo.example"));
    served.stop("INT").await;
}
