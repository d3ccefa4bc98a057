//! `doctor` and the commands beside a node: they make nothing, change nothing, and find what is wrong.

use std::fs;

use atelier_server::embedded_postgres::OWNER_ROLE;
use sqlx::Executor;

use crate::harness::process::{Ended, Home};

/// The lines that say that something is wrong.
fn wrong(ended: &Ended) -> Vec<&str> {
    ended.said.lines().filter(|line| line.starts_with("WRONG")).collect()
}

/// Exactly one thing is wrong, and these words say what.
#[track_caller]
fn only(ended: &Ended, words: &[&str]) {
    let found = wrong(ended);
    assert_eq!((ended.code, found.len()), (Some(1), 1), "{words:?}: {} {}", ended.said, ended.logged);
    assert!(words.iter().all(|word| found[0].contains(word)), "{words:?}: {}", found[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_where_there_is_no_studio_nothing_is_made_and_nothing_looks_like_a_failure() {
    let home = Home::open().await;
    let well = home.run(&["doctor"]).await;
    assert_eq!((well.code, wrong(&well).len()), (Some(0), 0), "{}", well.said);
    assert!(well.said.contains("database: none yet"), "{}", well.said);
    for command in [&["projections", "list"][..], &["work", "list"], &["staff", "list"], &["keys", "rotate"]] {
        let refused = home.run(command).await;
        assert_eq!(refused.code, Some(1), "{command:?}");
        assert!(refused.logged.contains(&home.data().display().to_string()), "{command:?}: {}", refused.logged);
    }
    assert!(!home.data().exists(), "and nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_beside_a_node_with_the_private_postgresql_everything_can_be_looked_at() {
    let home = Home::open().await;
    let mut served = home.serve(&[]);
    served.listening().await;
    let postmaster = home.postmaster();
    let well = home.run(&["doctor"]).await;
    assert_eq!((well.code, wrong(&well).len()), (Some(0), 0), "{} {}", well.said, well.logged);
    for what in [
        "data folder",
        "disk",
        "descriptors",
        "clock",
        "role",
        "schema",
        "log",
        "log branches",
        "work",
        "holds",
        "keys",
    ] {
        assert!(well.said.lines().any(|line| line.contains(&format!("  {what}: "))), "{what}: {}", well.said);
    }
    for command in [
        &["projections", "list"][..],
        &["projections", "retry", "Profile"],
        &["work", "list"],
        &["staff", "list"],
        &["log", "branches"],
    ] {
        let done = home.run(command).await;
        assert_eq!(done.code, Some(0), "{command:?}: {}", done.logged);
    }
    served.still_runs();
    assert_eq!(home.postmaster(), postmaster, "the node's PostgreSQL was left alone");

    // What is wrong is found, one thing after the other.
    let few = home.run_limited(400, &["doctor"]).await;
    only(&few, &["descriptors", "400"]);
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    for (make, undo, words) in [
        (
            "insert into read_models_a.transaction_history_v1 (id, ledger_id, kind, amount, at) \
             values (gen_random_uuid(), 'x:live', 'held', -5, now() - interval '2 hours')",
            "delete from read_models_a.transaction_history_v1",
            &["holds", "1 are older than an hour"][..],
        ),
        (
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, '', 0)",
            "delete from _sqlx_migrations where version = 9999",
            &["schema", "newer release", "9999"],
        ),
        ("alter role atelier_app createdb", "alter role atelier_app nocreatedb", &["role", "may make databases"]),
        (
            "grant update on events to atelier_app",
            "revoke update on events from atelier_app",
            &["role", "may change the log"],
        ),
        // The database's clock is four and a half seconds ahead, as far as a new connection of the application can see.
        (
            "create schema wrong; create function wrong.clock_timestamp() returns timestamptz volatile language sql \
             as $$ select pg_catalog.clock_timestamp() + interval '4.5 seconds' $$; grant usage on schema wrong to atelier_app; \
             alter role atelier_app set search_path = wrong, public, pg_catalog",
            "alter role atelier_app reset search_path; drop schema wrong cascade",
            &["clock", "-4", "nodes refuse commands until it is right"],
        ),
        (
            "insert into log_branches select gen_random_uuid(), 2, system_identifier, timeline, events_oid, 5, now(), 9 from log_branches",
            "delete from log_branches where ordinal = 2",
            &["log branches", "from position 5 on, 5 positions lost", "atelier log acknowledge"],
        ),
        (
            "update key_fingerprints set fingerprint = sha256(fingerprint)",
            "select 1",
            &["keys", "not those of this database"],
        ),
    ] {
        admin.execute(make).await.expect("the superuser may");
        only(&home.run(&["doctor"]).await, words);
        admin.execute(undo).await.expect("the superuser may");
    }
    drop(admin);
    let application = home.application_url().expect("PostgreSQL runs");
    for (role, words) in [("postgres", "is a superuser"), (OWNER_ROLE, "owns the log")] {
        let url = application.replace("atelier_app", role);
        let found = home.start(&["doctor"], &[("DATABASE_URL".to_owned(), url)]).ended().await;
        assert!(wrong(&found).iter().any(|line| line.contains("role") && line.contains(words)), "{}", found.said);
    }
    assert_eq!(served.stop("TERM").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_keys_are_copied_before_they_are_rotated_and_the_copy_opens_what_they_opened() {
    let home = Home::open().await;
    let mut served = home.serve(&["--demo"]);
    served.ready().await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
    let (keys, taken) = (home.data().join("keys"), home.data().join("taken"));
    let kek = fs::read(keys.join("kek/1")).expect("the first key");
    // Where the copy cannot be made, nothing is changed.
    fs::create_dir(&taken).expect("our own folder");
    let refused = home.run(&["keys", "rotate", "--backup", taken.to_str().expect("a plain name")]).await;
    assert!(refused.code == Some(1) && refused.logged.contains("nothing was changed"), "{}", refused.logged);
    assert_eq!(fs::read(keys.join("kek/1")).expect("it is there still"), kek);
    let rotated = home.run(&["keys", "rotate"]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.logged);
    assert!(rotated.said.contains("key 2 is in use") && !keys.join("kek/1").exists(), "{}", rotated.said);
    let copies = fs::read_dir(home.data()).expect("the data folder").filter_map(Result::ok);
    let copies: Vec<_> =
        copies.filter(|entry| entry.file_name().to_string_lossy().starts_with("keys-before-")).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(fs::read(copies[0].path().join("kek/1")).expect("the key as it was"), kek);
    // The new ones are lost, and the copy is put back.
    fs::rename(&keys, home.data().join("lost")).expect("our own folder");
    fs::rename(copies[0].path(), &keys).expect("our own folder");
    let mut served = home.serve(&["--demo"]);
    let visitor = served.ready().await;
    let told: std::collections::BTreeMap<_, _> = home.demo_env().into_iter().collect();
    visitor.sign_in(&told["ATELIER_EMAIL"], &told["ATELIER_PASSWORD"]).await;
    assert_eq!(served.stop("TERM").await.code, Some(0));
}
