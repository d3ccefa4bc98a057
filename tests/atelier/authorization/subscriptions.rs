//! Every subscription, for everybody: a session alone lets a socket in, and what it follows is its own account's (sec.A1).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Caller;
use super::Caller::Owner;
use super::cast::{Cast, PRIVATE};
use super::schema::Schema;
use crate::harness::socket::{Heard, Socket};

/// A root field of `Subscription` on one thing: how it is asked for, and who hears of it.
struct Row {
    field: &'static str,
    what: &'static str,
    arguments: fn(&Cast) -> String,
    hears: &'static [Caller],
}

const fn row(field: &'static str, what: &'static str, arguments: fn(&Cast) -> String, hears: &'static [Caller]) -> Row {
    Row { field, what, arguments, hears }
}

const SIGNED_IN: &[Caller] = &[Caller::Other, Owner, Caller::Auditor, Caller::Support, Caller::Admin];

const ROWS: &[Row] = &[
    row("balanceChanged", "one's own", |_| String::new(), SIGNED_IN),
    row("notifications", "one's own", |_| String::new(), SIGNED_IN),
    row("generationUpdated", "a published one", |cast| format!("(id: \"{}\")", cast.published), &[Owner]),
    row("generationUpdated", "a private one", |cast| format!("(id: \"{}\")", cast.private), &[Owner]),
    row("generationUpdated", "one that waits", |cast| format!("(id: \"{}\")", cast.waiting), &[Owner]),
    row("generationUpdated", "an unknown one", |cast| format!("(id: \"{}\")", cast.unknown("gen")), &[]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_subscription_has_a_row_and_tells_its_own_account_alone() {
    let cast = Cast::assemble().await;
    let schema = Schema::of(&cast.studio).await;
    let fields: BTreeSet<&str> = schema.fields("Subscription").iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ROWS.iter().map(|row| row.field).collect(), "sec.A1: each says here who hears of it");
    for caller in Caller::ALL {
        let token = cast.token(caller).unwrap_or_default();
        if !caller.signed_in() {
            assert_eq!(Socket::plain(&cast.studio.url).await.enter(token).await, Heard::Closed(4403), "{caller:?}");
            continue;
        }
        let mut socket = Socket::signed_in(&cast.studio.url, token).await;
        for row in ROWS {
            let of = &schema.fields("Subscription").iter().find(|field| field.name == row.field).expect("a field").of;
            let query = format!("subscription {{ {}{} {} }}", row.field, (row.arguments)(&cast), schema.everything(of));
            socket.subscribe("1", &query, Value::Null).await;
            if row.hears.contains(&caller) {
                let event = socket.next("1").await;
                let private = event.to_string().contains(PRIVATE);
                assert!(caller == Owner || !private, "{}({}) by {caller:?}: {event}", row.field, row.what);
                socket.say(&json!({ "id": "1", "type": "complete" })).await;
            } else {
                assert_eq!(socket.error("1").await, "NOT_FOUND", "{}({}) by {caller:?}", row.field, row.what);
            }
        }
    }
    cast.studio.stop().await;
}
