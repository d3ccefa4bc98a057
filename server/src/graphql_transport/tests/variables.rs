//! Variables: what is wrong with one stops the request before its first resolver (DESIGN 6, sec.R3).

use axum::http::StatusCode;
use futures::StreamExt;
use serde_json::{Value, json};

use super::super::Call;
use super::{Answer, Kit, TRACE};

const ALL: &str = "mutation ($float: Float, $string: String, $boolean: Boolean, $id: ID, $uuid: UUID, $moment: DateTime, \
                   $ints: [Int!], $pick: Pick) { all(float: $float, string: $string, boolean: $boolean, id: $id, uuid: $uuid, \
                   moment: $moment, ints: $ints, pick: $pick) }";
const PAINT: &str = "mutation ($input: Paint!) { paint(input: $input) }";

async fn ask(kit: &Kit, query: &str, variables: Value) -> Answer {
    kit.post(json!({"query": query, "variables": variables})).await
}

#[tokio::test]
async fn r3_a_mutation_with_a_bad_variable_runs_nothing() {
    let kit = Kit::new();
    // The bad variable belongs to a field beneath: without coercion up front, `bump` would have run.
    let query =
        "mutation ($number: Int!, $on: Boolean!) { bump { name child @include(if: $on) { echo(number: $number) } } }";
    let answer = ask(&kit, query, json!({"number": "one", "on": true})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    assert_eq!(answer.message(), "variable $number: expected Int");
    let query = "mutation ($moment: DateTime!) { bump { at(moment: $moment) } }";
    let answer = ask(&kit, query, json!({"moment": "yesterday"})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    assert_eq!(kit.ran.count(), 0);
}

/// B2: Relay and urql send what the document does not declare.
#[tokio::test]
async fn b2_variables_that_the_operation_does_not_declare_are_ignored() {
    let kit = Kit::new();
    let query = "mutation ($value: Int!) { int(value: $value) }";
    for extra in [json!(1), json!(null), json!({"a": [1.5]}), json!("x".repeat(10_000))] {
        let answer = ask(&kit, query, json!({"value": 7, "extra": extra, "": 1, "$value": "x", "__typename": 2})).await;
        assert_eq!(answer.body, json!({"data": {"int": 7}}));
    }
    let query = "query A($a: Int!) { node { echo(number: $a) } } mutation B { bump { name } }";
    let answer = kit.post(json!({"query": query, "operationName": "B", "variables": {"a": "of the other one"}})).await;
    assert_eq!(answer.body, json!({"data": {"bump": {"name": "bumped"}}}));
    // What is declared is as strict beside them as alone.
    let answer = ask(&kit, "mutation ($value: Int!) { int(value: $value) }", json!({"Value": 7, "value": "7"})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    assert_eq!(kit.ran.count(), 5);
}

#[tokio::test]
async fn b2_a_socket_ignores_them_too_and_finds_the_field_in_fragments() {
    let kit = Kit::new();
    for query in [
        "subscription { ticks }",
        "subscription { ...f } fragment f on Ticks { ... { ...g } } fragment g on Ticks { ticks }",
        "query A { greeting } subscription B { ... on Ticks { ticks } }",
    ] {
        let name = query.contains("query A").then_some("B");
        let payload = json!({"query": query, "operationName": name, "variables": {"extra": 1}}).to_string();
        let call = Call { trace_id: TRACE, introspection: true };
        let events = kit.transport.subscribe(payload.as_bytes(), call, |request| request);
        let events: Vec<_> = events.expect("it begins").map(|event| event.data.to_string()).collect().await;
        assert_eq!(events, ["{ticks: 1}"], "{query}");
    }
}

#[tokio::test]
async fn missing_and_null_required_variables_are_refused() {
    let kit = Kit::new();
    let query = "mutation ($value: Int!) { int(value: $value) }";
    for (variables, message) in
        [(json!({}), "variable $value is required"), (json!({"value": null}), "variable $value: expected Int!")]
    {
        let answer = ask(&kit, query, variables).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
        assert_eq!(answer.message(), message);
        assert_eq!(answer.body["errors"][0]["locations"], json!([{"line": 1, "column": 11}]));
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn defaults_stand_in_for_absent_variables_and_only_for_those() {
    let kit = Kit::new();
    let query = "mutation ($value: Int! = 7) { int(value: $value) }";
    assert_eq!(ask(&kit, query, json!({})).await.body, json!({"data": {"int": 7}}));
    assert_eq!(ask(&kit, query, json!({"value": 8})).await.body, json!({"data": {"int": 8}}));
    ask(&kit, query, json!({"value": null})).await.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    let wrong = ask(&kit, "mutation ($value: Int! = \"7\") { int(value: $value) }", json!({})).await;
    wrong.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(kit.ran.count(), 2);
}

#[tokio::test]
async fn int_is_of_32_bits() {
    let kit = Kit::new();
    let query = "mutation ($value: Int!) { int(value: $value) }";
    for value in [json!(i32::MAX), json!(i32::MIN), json!(0)] {
        assert_eq!(ask(&kit, query, json!({ "value": value })).await.body, json!({"data": {"int": value}}));
    }
    for value in [
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(u64::MAX),
        json!(1.0),
        json!("1"),
        json!(true),
        json!([]),
        json!({}),
    ] {
        let answer = ask(&kit, query, json!({ "value": value })).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    }
    assert_eq!(kit.ran.count(), 3);
}

#[tokio::test]
async fn scalars_take_their_own_kinds() {
    let kit = Kit::new();
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
    let good = [
        ("float", json!(1)),
        ("float", json!(1.5e300)),
        ("string", json!("")),
        ("boolean", json!(false)),
        ("id", json!("a")),
        ("id", json!(12)),
        ("uuid", json!(uuid)),
        ("moment", json!("2026-11-20T06:04:00Z")),
        ("ints", json!([])),
        ("ints", json!([1, 2])),
        ("ints", json!(3)),
        ("pick", json!({"id": "a"})),
        ("pick", json!({"name": "b"})),
        ("string", json!(null)),
    ];
    let ran = u32::try_from(good.len()).expect("few");
    for (name, value) in good {
        let answer = ask(&kit, ALL, json!({ name: value })).await;
        assert_eq!(answer.code(), "none", "{name} {value}: {}", answer.body);
    }
    for (name, value) in [
        ("float", json!("1")),
        ("float", json!(true)),
        ("string", json!(1)),
        ("string", json!(["a"])),
        ("boolean", json!("true")),
        ("boolean", json!(0)),
        ("id", json!(1.5)),
        ("id", json!({})),
        ("uuid", json!("none")),
        ("uuid", json!(1)),
        ("moment", json!("2026-13-01T00:00:00Z")),
        ("ints", json!([1, null])),
        ("ints", json!(["1"])),
        ("ints", json!([[1], 2.5])),
        ("pick", json!({})),
        ("pick", json!({"id": "a", "name": "b"})),
        ("pick", json!({"id": null})),
        ("pick", json!({"other": 1})),
    ] {
        let answer = ask(&kit, ALL, json!({ name: value })).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    }
    assert_eq!(kit.ran.count(), ran);
}

#[tokio::test]
async fn input_objects_are_checked_to_their_leaves() {
    let kit = Kit::new();
    let good =
        json!({"name": "a", "colour": "RED", "tags": ["x", "y"], "under": {"name": "b", "colour": "BLUE", "coats": 2}});
    let answer = ask(&kit, PAINT, json!({ "input": good })).await;
    assert_eq!(answer.body, json!({"data": {"paint": "a Enum(Name(\"RED\")) x1 [x+y] over b"}}));
    for (input, message) in [
        (json!("a"), ": expected Paint"),
        (json!([]), ": expected Paint"),
        (json!(null), ": expected Paint!"),
        (json!({"colour": "RED"}), ".name: required"),
        (json!({}), ".colour: required"),
        (json!({"name": null, "colour": "RED"}), ".name: expected String!"),
        (json!({"name": "a", "colour": "GREEN"}), ".colour: expected Colour"),
        (json!({"name": "a", "colour": 1}), ".colour: expected Colour"),
        (json!({"name": "a", "colour": "RED", "coats": null}), ".coats: expected Int!"),
        (json!({"name": "a", "colour": "RED", "tags": ["x", 2]}), ".tags[1]: expected String"),
        (json!({"name": "a", "colour": "RED", "owner": 2}), ": unknown field \"owner\""),
        (
            json!({"name": "a", "colour": "RED", "under": {"name": "b", "colour": "RED", "x": 1}}),
            ".under: unknown field \"x\"",
        ),
    ] {
        let answer = ask(&kit, PAINT, json!({ "input": input })).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
        assert_eq!(answer.message(), format!("variable $input{message}"));
    }
    assert_eq!(kit.ran.count(), 1);
}

#[tokio::test]
async fn a_value_is_never_said_back() {
    let answer =
        ask(&Kit::new(), PAINT, json!({"input": {"name": ["ada@example.com"], "colour": "ada@example.com"}})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_INPUT");
    assert!(!answer.body.to_string().contains("ada@"), "{}", answer.body);
}

#[tokio::test]
async fn types_that_are_no_input_are_refused_without_a_panic() {
    let kit = Kit::new();
    for query in [
        "query ($a: Nothing) { node { echo(number: $a) } }",
        "query ($a: [Nothing] = [1]) { node { echo(number: $a) } }",
        "query ($a: Node) { node { echo(number: $a) } }",
        "query A { greeting } query B($a: [[Nothing!]] = [[1]]) { node { echo(number: $a) } }",
    ] {
        let answer = kit.post(json!({"query": query, "operationName": query.contains("query A").then_some("A")})).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn variables_where_another_type_is_expected_are_refused() {
    let kit = Kit::new();
    let answer = ask(&kit, "mutation ($a: String!) { int(value: $a) }", json!({"a": "1"})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    let answer = ask(&kit, "mutation { int(value: $a) }", json!({})).await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(kit.ran.count(), 0);
}
