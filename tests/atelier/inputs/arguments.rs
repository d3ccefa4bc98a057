//! Every argument of every query and subscription with hostile values, forged cursors and positions among them: an empty answer, or an error
//! of the client's.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_projections::cursor::Cursor;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::hostile;
use super::schema::{Inputs, Taken};
use super::{CLIENTS, ask, faults};
use crate::authorization::Caller;
use crate::authorization::cast::Cast;
use crate::harness::socket::{Heard, Socket};

/// A field with arguments, by whom, the arguments it must have, and a selection around it with `@` for its name and arguments.
type Row = (&'static str, Caller, &'static [(&'static str, &'static str)], &'static str);

const PAGE: &str = "{ @ { pageInfo { hasNextPage } } }";

const ROWS: &[Row] = &[
    ("Query.me", Caller::Owner, &[], "{ @ { id } }"),
    ("Query.audit", Caller::Auditor, &[], "{ @ { position } }"),
    ("Query.creator", Caller::Owner, &[("username", "\"ada\"")], "{ @ { id } }"),
    ("Query.explore", Caller::Owner, &[], PAGE),
    ("Query.generation", Caller::Owner, &[("id", "\"gen_x\"")], "{ @ { id } }"),
    ("Query.node", Caller::Owner, &[("id", "\"gen_x\"")], "{ @ { id } }"),
    ("Query.usernameAvailability", Caller::Owner, &[], "{ @ { available userErrors { code } } }"),
    ("Me.credits", Caller::Owner, &[], "{ me { @ { available } } }"),
    ("Me.transactions", Caller::Owner, &[], "{ me { @ { pageInfo { hasNextPage } } } }"),
    ("Me.creations", Caller::Owner, &[], "{ me { @ { pageInfo { hasNextPage } } } }"),
    ("Me.notices", Caller::Owner, &[], "{ me { @ { pageInfo { hasNextPage } } } }"),
    ("Me.history", Caller::Owner, &[], "{ me { @ { pageInfo { hasNextPage } } } }"),
    ("Me.apiKeys", Caller::Owner, &[], "{ me { @ { pageInfo { hasNextPage } } } }"),
    ("Creator.published", Caller::Owner, &[], "{ creator(username: \"ada\") { @ { pageInfo { hasNextPage } } } }"),
    ("Avatar.url", Caller::Owner, &[], "{ me { profile { avatar { @ } } } }"),
    ("ApiKey.usage", Caller::Owner, &[], "{ me { apiKeys(first: 3) { edges { node { @ { __typename } } } } } }"),
    ("Audit.ledger", Caller::Auditor, &[("accountId", "\"{account}\"")], "{ audit { @ { balance { available } } } }"),
    (
        "Audit.history",
        Caller::Auditor,
        &[("accountId", "\"{account}\"")],
        "{ audit { @ { pageInfo { hasNextPage } } } }",
    ),
    ("Audit.staff", Caller::Auditor, &[], "{ audit { @ { accountId } } }"),
    (
        "Ledger.transactions",
        Caller::Auditor,
        &[],
        "{ audit { ledger(accountId: \"{account}\") { @ { pageInfo { hasNextPage } } } } }",
    ),
    ("Subscription.generationUpdated", Caller::Owner, &[("id", "\"{private}\"")], "{ @ { position } }"),
    ("Subscription.balanceChanged", Caller::Owner, &[], "{ @ { available } }"),
    ("Subscription.notifications", Caller::Owner, &[], "{ @ { position } }"),
];

/// Texts that look like cursors and positions of this log, and are of no row of it.
fn forged(cast: &Cast) -> Vec<String> {
    let genuine = URL_SAFE_NO_PAD.decode(cast.studio.token(0)).expect("a position");
    let mark = &genuine[..4];
    let encoded = |rest: &[u8]| json!(URL_SAFE_NO_PAD.encode([mark, rest].concat())).to_string();
    let micros = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().expect("an instant").timestamp_micros();
    let instants = [
        i64::MIN,
        micros("-262143-01-01T00:00:00Z"),
        micros("-9999-01-01T00:00:00Z"),
        micros("0000-01-01T00:00:00Z"),
        -1,
        0,
        micros("9999-12-31T23:59:59.999999Z"),
        micros("+10000-01-01T00:00:00Z"),
        micros("+262142-12-31T23:59:59Z"),
        i64::MAX,
    ];
    let cursors = instants
        .iter()
        .flat_map(|at| [Uuid::nil(), Uuid::max()].map(|id| encoded(&[&at.to_be_bytes()[..], id.as_bytes()].concat())));
    // As the release before made them, and with the branch in front.
    let positions = [i64::MIN, -1, 1 << 31, 1 << 53, i64::MAX].map(i64::to_be_bytes);
    let positions = positions.iter().flat_map(|position| {
        [encoded(position), encoded(&[&genuine[4..12], position].concat()), encoded(&[&[0; 8], &position[..]].concat())]
    });
    let elsewhere = Cursor { at: cast.studio.node.studio.write.now(), id: Uuid::nil() }.encode(Uuid::from_u128(1));
    cursors.chain(positions).chain([json!(elsewhere).to_string()]).collect()
}

/// The document that gives one argument by a variable.
fn document(cast: &Cast, row: &Row, taken: &Taken) -> String {
    let (path, _, others, around) = row;
    let (of, field) = path.split_once('.').expect("a path");
    let operation = if of == "Subscription" { "subscription" } else { "query" };
    let mut arguments = vec![format!("{}: $value", taken.name)];
    arguments
        .extend(others.iter().filter(|(name, _)| *name != taken.name).map(|(name, value)| format!("{name}: {value}")));
    let called = format!("{field}({})", arguments.join(", "));
    let selection =
        around.replace('@', &called).replace("{account}", &cast.account_id).replace("{private}", &cast.private);
    format!("{operation}($value: {}) {selection}", taken.written)
}

fn values(cast: &Cast, taken: &Taken) -> Vec<String> {
    let mut values = hostile::of(taken, cast.studio.node.studio.write.now());
    if taken.of == "String" {
        values.extend(forged(cast));
    }
    values
}

fn row<'r>(path: &str) -> &'r Row {
    ROWS.iter().find(|row| row.0 == path).unwrap_or_else(|| panic!("{path} has arguments and no row here"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_hostile_arguments_of_queries_are_the_clients_error() {
    let cast = Cast::assemble().await;
    let inputs = Inputs::of(&cast.studio).await;
    let fields: BTreeSet<&str> =
        inputs.arguments.keys().map(String::as_str).filter(|path| !path.starts_with("Mutation.")).collect();
    assert_eq!(fields, ROWS.iter().map(|row| row.0).collect(), "each field with arguments has a row here");
    let (mut number, mut wrong) = (0, Vec::new());
    for path in fields.iter().filter(|path| !path.starts_with("Subscription.")) {
        for taken in &inputs.arguments[*path] {
            let query = document(&cast, row(path), taken);
            for value in values(&cast, taken) {
                number += 1;
                let body = format!("{{\"query\":{},\"variables\":{{\"value\":{value}}}}}", json!(query));
                let (status, answer) = ask(&cast, row(path).1, body).await;
                if status >= 500 || !faults(&answer).is_empty() {
                    wrong.push(format!("{path}({}: {value:.60}): {status} {answer:.200}", taken.name));
                }
            }
        }
    }
    assert!(number > 800, "{number} values were tried");
    assert_eq!(wrong, [""; 0], "{} of {number}", wrong.len());
    cast.studio.stop().await;
}

/// What a socket says to a subscription; `None` when it closes instead, as it may to a message that is none.
async fn told(socket: &mut Socket) -> Option<Value> {
    match socket.hear_within(Duration::from_secs(20)).await.expect("something comes in time") {
        Heard::Message(message) => Some(message),
        Heard::Closed(_) | Heard::Gone => None,
    }
}

/// Hears what was on its way before the subscription ended.
async fn quiet(socket: &mut Socket) {
    socket.say(&json!({ "type": "ping" })).await;
    while told(socket).await.is_some_and(|message| message["type"] != json!("pong")) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_hostile_arguments_of_subscriptions_are_the_clients_error() {
    let cast = Cast::assemble().await;
    let inputs = Inputs::of(&cast.studio).await;
    let token = cast.token(Caller::Owner).expect("a token").to_owned();
    let (mut number, mut wrong) = (0, Vec::new());
    for (path, arguments) in inputs.arguments.iter().filter(|(path, _)| path.starts_with("Subscription.")) {
        for taken in arguments {
            let query = document(&cast, row(path), taken);
            // A socket may say so much in a while, and no more.
            let mut socket = Socket::signed_in(&cast.studio.url, &token).await;
            for value in values(&cast, taken) {
                // What is no JSON, or larger than a message, closes the socket before it is a subscription.
                let Ok(variable) = serde_json::from_str::<Value>(&value) else { continue };
                if value.len() > 50_000 {
                    continue;
                }
                number += 1;
                let id = number.to_string();
                socket.subscribe(&id, &query, json!({ "value": variable })).await;
                let Some(message) = told(&mut socket).await else {
                    wrong.push(format!("{path}({}: {value:.60}): the socket was closed", taken.name));
                    socket = Socket::signed_in(&cast.studio.url, &token).await;
                    continue;
                };
                let payload = &message["payload"];
                let errors = payload.as_array().or_else(|| payload["errors"].as_array()).into_iter().flatten();
                let codes: Vec<&str> =
                    errors.map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect();
                if codes.iter().any(|code| !CLIENTS.contains(code)) {
                    wrong.push(format!("{path}({}: {value:.60}): {message:.200}", taken.name));
                }
                if message["type"] == json!("next") {
                    socket.say(&json!({ "id": id, "type": "complete" })).await;
                    quiet(&mut socket).await;
                }
            }
        }
    }
    assert!(number > 150, "{number} values were tried");
    assert_eq!(wrong, [""; 0], "{} of {number}", wrong.len());
    cast.studio.stop().await;
}
