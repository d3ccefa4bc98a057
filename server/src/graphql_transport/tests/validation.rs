//! Rules of validation that the studio's own schema has no place for, and what their messages say (B3).

use axum::http::StatusCode;
use serde_json::json;

use super::{Answer, Kit};

async fn assert_valid(kit: &Kit, query: &str) {
    let answer = kit.query(query).await;
    assert_ne!(answer.code(), "GRAPHQL_VALIDATION_FAILED", "{query}: {}", answer.body);
}

async fn assert_invalid(kit: &Kit, query: &str) -> Answer {
    let answer = kit.query(query).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED"), "{query}");
    answer
}

#[tokio::test]
async fn b3_one_of_takes_exactly_one_field_that_is_not_null() {
    let kit = Kit::new();
    for pick in ["{id: 1}", "{name: \"a\"}", "null"] {
        assert_valid(&kit, &format!("mutation {{ all(pick: {pick}) }}")).await;
    }
    assert_valid(&kit, "mutation ($id: ID!) { all(pick: {id: $id}) }").await;
    for pick in ["{}", "{id: null}", "{id: 1, name: \"a\"}", "{id: 1, name: null}", "{other: 1}", "\"a\"", "[{id: 1}]"]
    {
        assert_invalid(&kit, &format!("mutation {{ all(pick: {pick}) }}")).await;
    }
    assert_invalid(&kit, "mutation ($id: ID) { all(pick: {id: $id}) }").await;
    assert_invalid(&kit, "mutation ($id: ID = 1) { all(pick: {id: $id}) }").await;
    assert_invalid(&kit, "mutation ($pick: Pick = {}) { all(pick: $pick) }").await;
}

#[tokio::test]
async fn b3_literals_are_of_their_custom_scalar() {
    let kit = Kit::new();
    for good in ["uuid: \"0190163d-8694-739b-aea5-966c26f8ad91\"", "moment: \"2026-11-20T06:04:00Z\"", "uuid: null"] {
        assert_valid(&kit, &format!("mutation {{ all({good}) }}")).await;
    }
    for bad in ["uuid: \"none\"", "uuid: 1", "moment: \"now\"", "moment: NOW", "moment: {a: 1}", "moment: [\"now\"]"] {
        assert_invalid(&kit, &format!("mutation {{ all({bad}) }}")).await;
    }
    assert_invalid(&kit, "mutation ($m: DateTime = \"now\") { all(moment: $m) }").await;
    assert_eq!(kit.ran.count(), 3);
}

#[tokio::test]
async fn b3_faults_have_their_place_also_behind_strings_that_were_decoded() {
    let kit = Kit::new();
    let cases = [
        ("mutation { all(string: \"\\u{1F600}\\uD83D\\uDE00\", nothing: 1) }", 1, 49),
        ("mutation { all(string: \"\u{1F600}\", nothing: 1) }", 1, 29),
        ("mutation { all(string: \"\"\"\na\n\"\"\", nothing: 1) }", 3, 6),
        ("query A(\"how\" $a: Int!) { nothing node { echo(number: $a) } }", 1, 27),
        ("\"\"\"what\nit does\"\"\" mutation A {\n all(nothing: 1) }", 3, 6),
    ];
    for (query, line, column) in cases {
        let answer = kit.query(query).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(answer.body["errors"][0]["locations"][0], json!({"line": line, "column": column}), "{query}");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn b3_escapes_reach_the_resolver_as_what_they_stand_for() {
    let kit = Kit::new();
    for (literal, value) in [
        (r#""\u{1F600}\u{41}""#, "\u{1F600}A"),
        (r#""\uD83D\uDE00 \u00e9""#, "\u{1F600} \u{e9}"),
        (r#""\u{22}\u005C\u{5c}n""#, "\"\\\\n"),
        (r#""\" \\ \/ \b \f \n \r \t""#, "\" \\ / \u{8} \u{c} \n \r \t"),
        ("\"\"\"\n    a\n      \\u{41} \\uD83D\n  b \"\"\"", "  a\n    \\u{41} \\uD83D\nb "),
        ("\"\"\"a \\\"\"\" b\"\"\"", "a \"\"\" b"),
        ("\"\"\"\r\n  a\r  b\n\n\"\"\"", "a\nb"),
        ("\"\"\"\"\"\"", ""),
    ] {
        let answer = kit.query(&format!("mutation {{ all(string: {literal}) }}")).await;
        let expected = format!("None Some({value:?}) None");
        let text = answer.body["data"]["all"].as_str().unwrap_or_default();
        assert!(text.starts_with(&expected), "{literal}: {}", answer.body);
    }
}

#[tokio::test]
async fn b3_a_value_is_never_said_back() {
    let kit = Kit::new();
    for query in [
        "mutation { int(value: \"ada@example.com\") }",
        "mutation { all(uuid: \"ada@example.com\", float: 1) }",
        "mutation { paint(input: {name: [\"ada@example.com\"], colour: \"ada@example.com\"}) }",
        "mutation { all(ints: \"ada@example.com\") }",
        "mutation ($m: DateTime = \"ada@example.com\") { all(moment: $m) }",
    ] {
        let answer = assert_invalid(&kit, query).await;
        assert!(!answer.body.to_string().contains("ada@"), "{}", answer.body);
    }
}
