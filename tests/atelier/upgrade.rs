//! Data of earlier releases: each folder of `tests/fixtures` is named after the commit that made it, and holds a dump of its database, its
//! keys and its media. This release must migrate it, serve it, and find the same balances in its log.
//!
//! `e0c212b` was killed while a job of four pictures was queued. One account is erased, one has a second factor and a role, one was never
//! verified. Its read model `ApiKeys` stands still in front of a key that ends in the year 10000.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use atelier_server::database;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::crash::log_checker::LogChecker;
use crate::harness::process::until;
use crate::harness::studio::PASSWORD;
use crate::harness::{TestDatabase, TestStudio};

/// Where the log of `e0c212b` ended.
const LAST: i64 = 74;
/// Its ledgers: what could be spent and what was held, as its own API said just before.
const BALANCES: [(&str, (i64, i64)); 4] = [
    ("01a22d8e-96e6-7588-a749-bd3d0ca58abb:live", (300, 0)),
    ("01a22d8e-96e6-7588-a749-bd3d0ca58abb:test", (9_900, 0)),
    ("01a22d8e-98c7-78a0-a13c-df9b6cba4878:live", (0, 400)),
    ("01a22d8e-9b91-79b6-a205-9fced4de1697:live", (500, 0)),
];

/// Copies a folder with all that is in it, for its owner only, as the key folder must be.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// The database and the data folder of a release, before anything of this release has touched them.
async fn of_release(commit: &str) -> (TestDatabase, TempDir) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(commit);
    let dump = fs::read_to_string(folder.join("dump.sql")).expect("the dump is there");
    let data = TempDir::new().expect("a temporary folder");
    for part in ["keys", "media"] {
        copy(&folder.join(part), &data.path().join(part)).expect("the fixture can be copied");
    }
    (TestDatabase::of_dump(&dump).await, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_e0c212b_is_migrated_and_served_and_replays_to_the_same_balances() {
    let (database, data) = of_release("e0c212b").await;
    database::migrate(&database.owner_url).await.expect("it is migrated");
    let mut connection = PgConnection::connect(&database.url).await.expect("the application connects");
    let mut checker = LogChecker::of_jobs();
    checker.read_on(&mut connection).await;
    checker.assert_well();
    assert_eq!(checker.last(), LAST, "the fixture is what it was");
    for (ledger, balance) in BALANCES {
        assert_eq!(checker.ledgers.balance(ledger), balance, "{ledger}");
    }

    // The sign-up that was never proven keeps nobody from its address any more, and can still be proven.
    let unproven = "select (select count(*) from credentials.unproven_addresses), (select count(*) from credentials.claims c \
                    join credentials.unproven_addresses u using (account_id) where c.kind = 'email')";
    let unproven: (i64, i64) = sqlx::query_as(unproven).fetch_one(&mut connection).await.expect("the rows answer");
    assert_eq!(unproven, (1, 0));

    let studio = TestStudio::upgraded(database, data).await;
    // A studio is at rest without the followers that stand still: the one that the release before stopped goes on by itself, in a moment.
    until("no follower stands still", async || {
        let stopped = "select count(*) from checkpoints where state = 'stopped'";
        let stopped: i64 = sqlx::query_scalar(stopped).fetch_one(&studio.database.pool).await.expect("the rows answer");
        (stopped == 0).then_some(())
    })
    .await;
    studio.drain().await;
    checker.read_on(&mut connection).await;
    checker.assert_well();
    let (available, held) = checker.ledgers.balance(BALANCES[2].0);
    assert_eq!(held, 0, "the job that was queued has ended");
    assert!([0, 400].contains(&available), "it was paid as it was delivered, or not at all: {available}");
    let behind =
        "select name from checkpoints where state <> 'running' or position < (select max(position) from events)";
    let behind: Vec<String> =
        sqlx::query_scalar(behind).fetch_all(&mut connection).await.expect("the database answers");
    assert!(behind.is_empty(), "these stand still: {behind:?}");

    let token = studio.sign_in("ada@example.com", PASSWORD).await;
    let screen = "{ me { profile { username displayName bio avatar { url } } rank { count } apiKeys { edges { node { label } } } \
                  transactions { edges { node { kind } } } creations { edges { node { prompt images { url } } } } } }";
    let me = studio.graphql(Some(&token), screen, json!({})).await["me"].take();
    assert_eq!(me["profile"]["displayName"], "Ada L.");
    assert_eq!(me["profile"]["username"], "ada_l");
    assert_eq!(me["rank"]["count"], 2, "a deleted picture counts, one of a test key does not");
    assert_eq!(me["apiKeys"]["edges"].as_array().map(Vec::len), Some(4));
    let creations = me["creations"]["edges"].as_array().cloned().unwrap_or_default();
    assert_eq!(creations.len(), 1, "the other one was deleted");
    assert_eq!(creations[0]["node"]["prompt"], "A serene mountain landscape at sunset");
    for url in [&creations[0]["node"]["images"][0]["url"], &me["profile"]["avatar"]["url"]] {
        let (status, kind, bytes) = studio.download(url.as_str().expect("a link")).await;
        assert_eq!((status.as_u16(), kind.as_str()), (200, "image/png"), "{url}");
        assert!(!bytes.is_empty());
    }

    // The account whose key stopped the read model for everybody has its list as well.
    let token = studio.sign_in("bob@example.com", PASSWORD).await;
    let keys = studio.graphql(Some(&token), "{ me { apiKeys { edges { node { label } } } } }", json!({})).await;
    let labels: Vec<&Value> = keys["me"]["apiKeys"]["edges"].as_array().expect("a list").iter().collect();
    assert_eq!(labels.len(), 2, "{labels:?}");
    let erased = studio.graphql_raw(None, "{ creator(username: \"carol\") { displayName } }", json!({})).await;
    assert_eq!(erased["data"]["creator"], Value::Null);
    studio.stop().await;
}
