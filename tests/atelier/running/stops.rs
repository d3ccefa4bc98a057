//! SIGTERM ends a node within 25 seconds, whatever it is at: a table of states.

use std::time::Duration;

use serde_json::json;
use sqlx::Executor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::process::{Ended, Home, kill, until};

/// What operators count on (REQUIREMENTS: a stop within 25 seconds).
const LIMIT: Duration = Duration::from_secs(25);

fn in_time(state: &str, (ended, took): (Ended, Duration)) -> Ended {
    assert!(took < LIMIT, "{state}: {took:?}");
    ended
}

fn in_order(state: &str, stopped: (Ended, Duration)) {
    let ended = in_time(state, stopped);
    assert_eq!(ended.code, Some(0), "{state}: {}", ended.logged);
}

/// A connection on which this was sent.
async fn sent(address: &str, bytes: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("the node listens");
    socket.write_all(bytes.as_bytes()).await.expect("it is sent");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_sigterm_ends_a_node_within_25_seconds_in_every_state() {
    let home = Home::open().await;

    // While PostgreSQL is made for the first time.
    let served = home.serve(&[]);
    until("the database's folder", async || home.data().join("postgres").exists().then_some(())).await;
    in_order("making the database", served.stop_timed("TERM").await);
    assert_eq!(home.postmaster(), None);

    // Idle; then with connections of every kind of client that does not go on.
    let mut served = home.serve(&[]);
    served.listening().await;
    in_order("idle", served.stop_timed("TERM").await);
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    let address = visitor.url.trim_start_matches("http://");
    let key = home.demo_env().into_iter().find(|(name, _)| name == "ATELIER_API_KEY").expect("a key").1;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    let heads = [
        String::new(),
        "GET / HTTP/1.1\r\n".to_owned(),
        format!(
            "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        ),
        format!("PUT /uploads/avatar/none HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100\r\n\r\nx"),
        format!("GET /graphql/ws HTTP/1.1\r\nhost: {address}\r\n{upgrade}"),
    ];
    let open = futures::future::join_all(heads.iter().map(|head| sent(address, head))).await;
    let body = json!({ "prompt": "Slow", "model": "z-image-turbo", "width": 2048, "height": 2048, "num_images": 4 });
    let (asking, token) = (visitor.clone(), key.clone());
    let waiting = tokio::spawn(async move { asking.post("/v1/generate", &token, &body).await.status });
    until("the hold", async || {
        let credits = visitor.get("/v1/credits", Some(&key)).await.json();
        (credits["held"] != json!(0)).then_some(())
    })
    .await;
    in_order("clients that do not go on", served.stop_timed("TERM").await);
    assert!(waiting.await.expect("joined").is_success(), "the one that waits is answered");
    drop(open);

    // While it waits for a lock to migrate.
    let mut served = home.serve(&[]);
    served.listening().await;
    served.kill();
    let mut admin = until("PostgreSQL", async || home.superuser().await).await;
    admin.execute("begin; lock table _sqlx_migrations in access exclusive mode").await.expect("the superuser may lock");
    let served = home.serve(&[]);
    let waits = "select exists (select from pg_locks where not granted and relation = '_sqlx_migrations'::regclass)";
    until("the migration", async || {
        sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut admin).await.expect("the lock is ours").then_some(())
    })
    .await;
    in_order("migrating", served.stop_timed("TERM").await);
    drop(admin);

    // With a database that answers nothing.
    let mut served = home.serve(&[]);
    let visitor = served.listening().await;
    home.freeze_postgres();
    let (asking, query) = (visitor.clone(), json!({ "query": "{ explore { edges { node { id } } } }" }));
    let asked = tokio::spawn(async move { asking.request("POST", "/graphql").json(&query).send().await.map(drop) });
    in_time("a frozen database", served.stop_timed("TERM").await);
    home.thaw_postgres();
    drop(asked.await);
    // Whoever comes next finds it as after a kill.
    let mut served = home.serve(&[]);
    served.listening().await;
    in_order("after all that", served.stop_timed("TERM").await);
    assert_eq!(home.postmaster(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_sigterm_ends_a_node_in_time_whatever_its_database_is_at() {
    let home = Home::open().await;

    // Its private PostgreSQL has just been killed, and is being started again.
    let mut served = home.serve(&[]);
    served.listening().await;
    home.kill_postgres(std::future::ready(())).await;
    in_time("a database that was just killed", served.stop_timed("TERM").await);
    // One of its processes was killed, and it recovers by itself as it is told to stop.
    for _ in 0..3 {
        let mut served = home.serve(&[]);
        served.listening().await;
        let mut admin = until("PostgreSQL", async || home.superuser().await).await;
        let backend = "select pid from pg_stat_activity where usename = 'atelier_app' limit 1";
        let backend: i32 = sqlx::query_scalar(backend).fetch_one(&mut admin).await.expect("the node is connected");
        kill(u32::try_from(backend).expect("a process id"));
        in_time("a database that recovers", served.stop_timed("TERM").await);
        assert_eq!(home.postmaster(), None, "nothing is left running");
    }
    // And cannot be started again.
    let mut served = home.serve(&[]);
    served.listening().await;
    let control = home.postgres().join("cluster/global/pg_control");
    let aside = control.with_extension("aside");
    std::fs::rename(&control, &aside).expect("our own folder");
    home.kill_postgres(std::future::ready(())).await;
    in_time("a database that does not start", served.stop_timed("TERM").await);
    std::fs::rename(&aside, &control).expect("our own folder");

    // While the demo studio is made.
    let mut served = home.serve(&["--demo"]);
    served.listening().await;
    in_order("making the demo studio", served.stop_timed("TERM").await);
    // Asked twice, as people do.
    let mut served = home.serve(&[]);
    served.listening().await;
    signal_again(&served);
    in_time("asked twice", served.stop_timed("TERM").await);

    // A database of somebody else's that takes connections and never says a word, and one that is not there.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = silent.local_addr().expect("an address");
    let url = |address: &str| ("DATABASE_URL".to_owned(), format!("postgres://atelier_app@{address}/atelier"));
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    let served = home.start(&arguments, &[url(&address.to_string())]);
    let (held, _) = silent.accept().await.expect("it connects");
    in_time("a database that never answers", served.stop_timed("TERM").await);
    drop(held);
}

/// A signal before the one that is timed.
fn signal_again(served: &crate::harness::process::Served) {
    let sent = std::process::Command::new("kill").args(["-TERM", &served.pid().to_string()]).status();
    assert!(sent.expect("kill is on every machine").success(), "it is there to be stopped");
}
