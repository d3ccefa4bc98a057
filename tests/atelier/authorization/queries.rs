//! Every root field of `Query` and every field below it, for everybody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Caller;
use super::cast::{Cast, PRIVATE};
use super::schema::Schema;
use super::table::{FIELDS, ROOTS, Root, SHOWN_ELSEWHERE, STRANGERS};
use crate::harness::TestStudio;

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_field_of_every_type_and_of_the_query_root_has_a_row() {
    let studio = TestStudio::start().await;
    let schema = Schema::of(&studio).await;
    assert_eq!(schema.kinds("Node"), ["Creator", "Generation", "Me"], "each is asked for by `answer`");
    let rows: BTreeMap<&str, BTreeSet<&str>> =
        FIELDS.iter().map(|row| (row.of, words(row.seen).chain(words(row.owners)).collect())).collect();
    assert_eq!(rows.len(), FIELDS.len(), "a type with two rows");
    assert_eq!(schema.things(), rows, "sec.A1: each field says in table.rs who sees it");
    // `audit` answers strangers with a fault, and has a test of its own below.
    let roots: BTreeSet<&str> = ROOTS.iter().map(|root| root.field).chain(["audit"]).collect();
    let fields: BTreeSet<&str> = schema.fields("Query").iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, roots, "sec.A1: each root field says in table.rs who sees it");
    studio.stop().await;
}

/// What a caller gets of a root: the value, whole. Asked for in parts where the whole would be too much for one request.
async fn answer(cast: &Cast, schema: &Schema, root: &Root, caller: Caller) -> Value {
    let of = &schema.fields("Query").iter().find(|field| field.name == root.field).expect("a root field").of;
    let arguments = (root.arguments)(cast);
    let mut whole = Value::Null;
    let parts: Vec<String> = match root.field {
        "me" => schema.parts(of),
        // What `Me` shows is asked for as `me`.
        "node" => ["Generation", "Creator"]
            .iter()
            .map(|kind| format!("{{ __typename ... on {kind} {} }}", schema.everything(kind)))
            .chain(["{ __typename ... on Me { id } }".to_owned()])
            .collect(),
        _ => vec![schema.everything(of)],
    };
    for part in parts {
        let query = format!("{{ {}{arguments} {part} }}", root.field);
        let mut answer = cast.studio.graphql_raw(cast.token(caller), &query, json!({})).await;
        // An API key is a credential that is no session's: the viewer's own field says so, and every other is as for anybody.
        let told = (root.field, caller) == ("me", Caller::Key);
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        assert_eq!(code, told.then_some("UNAUTHENTICATED"), "{} by {caller:?}: {answer} to {query}", root.what);
        assert!(
            caller == Caller::Owner || !answer.to_string().contains(PRIVATE),
            "{} by {caller:?} says what is private: {answer}",
            root.what
        );
        match (answer["data"][root.field].take(), &mut whole) {
            (Value::Object(more), Value::Object(members)) => members.extend(more),
            (value, whole) => *whole = value,
        }
    }
    whole
}

/// Whether a step of a path, `Type.field`, is the owner's alone.
fn is_owners(step: &str) -> bool {
    let (of, field) = step.split_once('.').expect("a step");
    FIELDS.iter().any(|row| row.of == of && words(row.owners).any(|own| own == field))
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a2_every_caller_sees_of_every_query_what_its_row_says_and_nothing_else() {
    let cast = Cast::assemble().await;
    let schema = Schema::of(&cast.studio).await;
    let mut shown_to_anybody = BTreeSet::new();
    for root in ROOTS {
        let of = &schema.fields("Query").iter().find(|field| field.name == root.field).expect("a root field").of;
        let whole = schema.shown(of, &answer(&cast, &schema, root, Caller::Owner).await);
        for caller in Caller::ALL {
            let value = answer(&cast, &schema, root, caller).await;
            let seen = !value.is_null();
            assert_eq!(seen, root.sees.contains(&caller), "{}({}) by {caller:?}", root.field, root.what);
            let shown = schema.shown(of, &value);
            shown_to_anybody.extend(shown.iter().flatten().cloned());
            // `me` is another account for everybody; of everything else a stranger sees what is not its owner's alone.
            if seen && root.field != "me" && STRANGERS.contains(&caller) {
                let expected: BTreeSet<Vec<String>> =
                    whole.iter().filter(|path| !path.iter().any(|step| is_owners(step))).cloned().collect();
                assert_eq!(shown, expected, "{}({}) by {caller:?}", root.field, root.what);
            }
        }
    }
    let elsewhere = ["UserError", "NewSession", "GoogleSignUp", "AvatarUpload", "Audit", "Ledger"];
    let reachable = FIELDS.iter().filter(|row| !elsewhere.contains(&row.of) && !row.of.starts_with("Staff"));
    let all = reachable
        .flat_map(|row| words(row.seen).chain(words(row.owners)).map(move |field| format!("{}.{field}", row.of)));
    let never: Vec<String> = all
        .filter(|field| !shown_to_anybody.contains(field))
        .filter(|field| SHOWN_ELSEWHERE.iter().all(|(known, _)| known != field))
        .collect();
    assert_eq!(never, [""; 0], "the cast must have one of everything, or the matrix compares nothing with nothing");
    cast.studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a2_auditors_alone_read_ledgers_and_histories_and_nobody_else_learns_whose_there_are() {
    let cast = Cast::assemble().await;
    let query = "query($id: ID!) { audit { ledger(accountId: $id) { balance { available } transactions(first: 3) { edges { node { id } } } } \
        history(accountId: $id, first: 3) { edges { node { staffId entry { id } } } } staff { accountId } } }";
    for caller in Caller::ALL {
        let ask = async |id: String| cast.studio.graphql_raw(cast.token(caller), query, json!({ "id": id })).await;
        let (known, unknown) = (ask(cast.account_id.clone()).await, ask(cast.unknown("acc")).await);
        if caller == Caller::Auditor {
            assert!(known.get("errors").is_none() && unknown.get("errors").is_none(), "{known} {unknown}");
            assert!(known["data"]["audit"]["history"]["edges"].as_array().is_some_and(|lines| lines.len() == 3));
            assert_eq!(known["data"]["audit"]["staff"].as_array().map(Vec::len), Some(3));
            assert_eq!(unknown["data"]["audit"]["history"]["edges"], json!([]));
            continue;
        }
        let code = if caller.signed_in() { "FORBIDDEN" } else { "UNAUTHENTICATED" };
        for answer in [&known, &unknown] {
            assert_eq!(answer["errors"][0]["extensions"]["code"], json!(code), "{caller:?}");
            assert_eq!(answer["data"]["audit"], Value::Null, "{caller:?}");
        }
        assert_eq!(known["errors"][0]["message"], unknown["errors"][0]["message"], "{caller:?}");
    }
    cast.studio.stop().await;
}
