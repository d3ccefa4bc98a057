//! Unique texts planted wherever a person, a client or a stranger can write, and looked for wherever they must not be: the
//! database's files, the keys, the media, every log line, the counters, the bodies of errors (DESIGN 7; E1; sec.K2, sec.D1; B04).

mod after_deletion;
mod bystander;
mod every_text;
mod journey;
mod search;

use serde_json::json;
use sqlx::{Executor, PgConnection};

use crate::harness::process::{Home, Served, until};
use crate::harness::visitor::Visitor;
use journey::Secrets;
use search::Search;

/// Part of every planted text: what is found of one is found by this.
const MARK: &str = "zk7q3v9x";
/// Planted where it must be found, or the search proves nothing.
const CONTROL: &str = "w4ntedh0me";
/// The same in the log: the id of a request is taken from a client only when it is a UUID.
const CONTROL_ID: &str = "0b7e4d1c-5a21-4c0e-9d57-3f1e6a8b2c90";
/// A client's own name for a request: text like any other, so neither the database nor a log line has it.
const IDEMPOTENCY_KEY: &str = "1dempq8w2-key";
/// Stands in an event that no program wrote: in the log of events by nature, and nowhere else.
const POISON: &str = "p0isonj5h1";

/// Everything is logged: ours and what we stand on.
const LOGGING: [(&str, &str); 1] = [("ATELIER_LOG", "trace")];

/// An event that decodes to nothing, as a damaged disk or a foreign program might leave it.
async fn poison(admin: &mut PgConnection) {
    let payload = json!({ "AccountOpened": { "email": POISON, "username": [POISON] } });
    let append = "insert into events select 'Account', gen_random_uuid()::text, 1, 'AccountOpened', '1', $1::json, '{}'::json, \
                  max(position) + 1, gen_random_uuid(), now(), now() from events";
    sqlx::query(append).bind(payload.to_string()).execute(admin).await.expect("the superuser may insert");
}

/// Everything PostgreSQL knows is in its files, one planted text more among it.
async fn write_out(admin: &mut PgConnection) {
    let statement = format!("create table planted as select '{CONTROL}-in-a-row'::text as word; checkpoint");
    admin.execute(statement.as_str()).await.expect("the superuser may do this");
}

/// What a node shows that everybody may see: its counters and its health, while a projection has stopped.
async fn shown(visitor: &Visitor) -> String {
    let health = until("the poison to be noticed", async || {
        let health = visitor.get("/health/ready", None).await;
        (health.json()["status"] == json!("degraded")).then_some(health.text)
    });
    let health = health.await;
    health + &visitor.get("/metrics", None).await.text
}

/// Starts a node that logs everything.
async fn start(home: &Home) -> (Served, Visitor) {
    let mut served = home.serve_with(&[], &LOGGING);
    let visitor = served.listening().await;
    (served, visitor)
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_e1_k2_nothing_personal_and_no_secret_is_in_the_database_the_logs_or_an_error() {
    let home = Home::open().await;
    let (served, visitor) = start(&home).await;
    let mailbox = home.data().join("mailbox");
    let (secrets, refusals) = journey::run(&visitor, &mailbox).await;
    let mut ended = vec![served.stop("INT").await];

    // Once more from the first event, with a rebuilt read model; then with a poisoned log.
    ended.push(home.run(&["projections", "rebuild", "Profile"]).await);
    let (served, visitor) = start(&home).await;
    journey::can_still_read(&visitor, &secrets).await;
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    poison(&mut admin).await;
    let shown = shown(&visitor).await;
    write_out(&mut admin).await;
    drop(admin);
    ended.push(served.stop("INT").await);
    ended.push(home.run(&["projections", "list"]).await);
    ended.push(home.run(&["doctor"]).await);
    let logged: String = ended.iter().map(|end| format!("{}{}", end.logged, end.said)).collect();

    found_where_it_must_be(&home, &logged);
    let search = Search::of(secrets.all().chain([("a planted text", MARK)]));
    let mut finds = search.finds("the log", logged.as_bytes());
    finds.extend(search.finds("health or counters", shown.as_bytes()));
    finds.extend(refusals.iter().flat_map(|(what, body)| search.finds(what, body.as_bytes())));
    for folder in [home.postgres(), home.data().join("keys"), home.data().join("media")] {
        finds.extend(search.finds_under(&folder).1);
    }
    let keys = Search::of([("an idempotency key", IDEMPOTENCY_KEY)]);
    finds.extend(keys.finds_under(&home.postgres()).1);
    let apart = Search::of([("a poisoned event", POISON), ("an idempotency key", IDEMPOTENCY_KEY)]);
    finds.extend(apart.finds("the log", logged.as_bytes()));
    finds.extend(apart.finds("health or counters", shown.as_bytes()));
    assert!(finds.is_empty(), "{} finds\n{}", finds.len(), finds.join("\n"));
    mails_hold_addresses_and_links_only(&mailbox, &secrets);
}

/// The same search over the same places finds what was planted there to be found.
fn found_where_it_must_be(home: &Home, logged: &str) {
    let in_the_log = Search::of([("the control", CONTROL_ID)]).finds("the log", logged.as_bytes());
    assert!(in_the_log.iter().any(|find| find.contains("request_id=0b7e4d1c")), "{in_the_log:?}");
    let search = Search::of([("the control", CONTROL)]);
    let (files, finds) = search.finds_under(&home.postgres());
    assert!(files > 500, "{files} files are not a database");
    for (what, place) in [("the control", "cluster/base/"), ("the control", "cluster/pg_wal/")] {
        assert!(
            finds.iter().any(|find| find.starts_with(what) && find.contains(place)),
            "{what} in {place}: {finds:?}"
        );
    }
    let (media, _) = search.finds_under(&home.data().join("media"));
    let (keys, _) = search.finds_under(&home.data().join("keys"));
    assert!(media >= 1 && keys >= 4, "{media} pictures, {keys} keys");
}

/// A mail is to an address and carries a link; nothing else of a person is in it.
fn mails_hold_addresses_and_links_only(mailbox: &std::path::Path, secrets: &Secrets) {
    let other = journey::planted().into_iter().filter(|(name, _)| *name != "address");
    let other: Vec<(&str, String)> = other.collect();
    let texts = other.iter().map(|(name, text)| (*name, text.as_str()));
    let search = Search::of(texts.chain(secrets.all().filter(|(name, _)| *name != "mail token")));
    let (mails, finds) = search.finds_under(mailbox);
    assert!(mails >= 2 && finds.is_empty(), "{mails} mails\n{}", finds.join("\n"));
}
