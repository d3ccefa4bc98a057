//! Documents: parsing, the choice of the operation, validation, introspection, what old clients see (sec.R1, sec.R4).

use axum::http::StatusCode;
use serde_json::json;

use super::{Answer, GRAPHQL, JSON, Kit, post};

fn assert_invalid(answer: &Answer, message: &str) {
    answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(answer.message(), message);
}

#[tokio::test]
async fn what_is_not_graphql_is_refused_with_its_place_and_without_its_text() {
    let kit = Kit::new();
    for (query, line, column) in [
        ("{ greeting \n  ; }", 2, 3),
        ("{ greeting } }", 1, 14),
        ("{ é }", 1, 3),
        ("{ a(b: \"x\ny\") }", 1, 8),
        ("{ a(b: \"open) }", 1, 8),
        ("{ a(b: \"\\", 1, 8),
        ("{ a(b: \"\"\"open\"\") }", 1, 8),
        ("{ a(b: 01) }", 1, 8),
        ("{ a(b: -) }", 1, 8),
        ("{ a(b: 1.) }", 1, 8),
        ("{ a(b: 1e) }", 1, 8),
        ("{ a(b: 1x) }", 1, 8),
        ("{ a(b: 1.5.1) }", 1, 8),
        ("{ .. }", 1, 3),
    ] {
        let answer = kit.query(query).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_PARSE_FAILED");
        assert_eq!(answer.message(), "syntax error", "{query}");
        assert_eq!(answer.body["errors"][0]["locations"][0], json!({"line": line, "column": column}), "{query}");
    }
    for query in ["", "  # nothing\n", "fragment a on Node { name }", "query A { greeting } query A { greeting }"] {
        kit.query(query).await.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_PARSE_FAILED");
    }
}

#[tokio::test]
async fn strings_numbers_and_comments_are_read_as_the_parser_reads_them() {
    let query = "\u{feff}mutation # {{{ \" \r\n { all(\n string: \"\"\"a \\\"\"\" ; \"b\" {{ # \"\"\", float: -1.5e-3, id: \"\\\" é\", boolean: true) }";
    let answer = Kit::new().query(query).await;
    let text = answer.body["data"]["all"].as_str().expect("text");
    assert!(
        text.starts_with("Some(-0.0015) ") && text.contains("b\\\" {{ # \") Some(true) Some(\"\\\" é\")"),
        "{text}"
    );
    let answer = Kit::new().query("mutation { all(string: \"\", float: 0, id: 10) }").await;
    assert_eq!(answer.code(), "none", "{}", answer.body);
}

#[tokio::test]
async fn the_operation_is_chosen_by_its_name() {
    let kit = Kit::new();
    let query = "query A { greeting } query B { caller }";
    let answer = kit.post(json!({"query": query, "operationName": "B"})).await;
    assert_eq!(answer.body, json!({"data": {"caller": "ada"}}), "what the handler adds reaches the resolver");
    let only = kit.post(json!({"query": "query A { greeting }"})).await;
    assert_eq!(only.body, json!({"data": {"greeting": "hello"}}));
    let none = kit.post(json!({ "query": query })).await;
    assert_invalid(&none, "operationName is required: there are several");
    for (query, name) in [(query, "C"), (query, ""), ("{ greeting }", "A")] {
        let unknown = kit.post(json!({"query": query, "operationName": name})).await;
        assert_invalid(&unknown, &format!("unknown operation \"{name}\""));
    }
}

#[tokio::test]
async fn a_document_that_does_not_fit_the_schema_does_not_run() {
    let kit = Kit::new();
    for query in [
        "mutation { bump { name nothing } }",
        "mutation { bump }",
        "mutation { int }",
        "mutation { int(value: \"1\") }",
        "mutation { bump { name @unknown } }",
        "mutation { bump { ...missing } }",
        "mutation { bump { name } } fragment unused on Node { name }",
        "mutation { bump { a: name a: child { name } } }",
        "mutation { paint(input: {name: \"a\", colour: GREEN}) }",
    ] {
        kit.query(query).await.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    }
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn errors_are_few_and_short() {
    let kit = Kit::new();
    let many: String = (0..100).map(|n| format!("nothing{n} ")).collect();
    let answer = kit.query(&format!("{{ node {{ {many} }} }}")).await;
    assert_eq!(answer.body["errors"].as_array().map(Vec::len), Some(20));
    let name = "a".repeat(180);
    let long = format!("mutation {{ paint(input: {{name: \"a\", colour: \"{}\"}}) }}", "é".repeat(10_000));
    for query in [long, format!("mutation Of{name} {{ {name}: bump {{ name }} {name}: int(value: 1) }}")] {
        let answer = kit.query(&query).await;
        assert!(answer.message().chars().count() <= 300, "{}", answer.body);
    }
}

#[tokio::test]
async fn r1_a_well_formed_request_that_cannot_run_is_200_to_old_clients_and_400_to_new_ones() {
    let kit = Kit::new();
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Int!) { node { echo(number: $a) } }", "BAD_INPUT"),
    ] {
        let body = json!({ "query": query }).to_string();
        kit.send(post(GRAPHQL, body.clone()), false).await.assert_refused(StatusCode::BAD_REQUEST, code);
        kit.send(post(JSON, body), false).await.assert_refused(StatusCode::OK, code);
    }
}

#[tokio::test]
async fn subscriptions_are_refused() {
    let kit = Kit::new();
    for accept in [JSON, GRAPHQL] {
        for body in [
            json!({"query": "subscription { ticks }"}),
            json!({"query": "query A { greeting } subscription B { ticks }", "operationName": "B"}),
        ] {
            let answer = kit.send(post(accept, body.to_string()), false).await;
            answer.assert_refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
            assert_eq!(answer.message(), "subscriptions are not served over HTTP");
        }
    }
    assert_eq!(kit.ran.count(), 0);
}

/// What GraphiQL asks, by shape: types nested nine times, through three fragments.
pub(super) fn introspection_query() -> String {
    let of_type = "ofType { kind name ".repeat(9) + &"}".repeat(9);
    format!(
        "query IntrospectionQuery {{ __schema {{ queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }} \
         types {{ ...FullType }} directives {{ name description locations args {{ ...InputValue }} }} }} }} \
         fragment FullType on __Type {{ kind name description fields(includeDeprecated: true) {{ name description \
         args {{ ...InputValue }} type {{ ...TypeRef }} isDeprecated deprecationReason }} inputFields {{ ...InputValue }} \
         interfaces {{ ...TypeRef }} enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }} \
         possibleTypes {{ ...TypeRef }} }} \
         fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue }} \
         fragment TypeRef on __Type {{ kind name {of_type} }}"
    )
}

#[tokio::test]
async fn r4_introspection_is_answered_when_on_within_the_limits() {
    let body = json!({ "query": introspection_query() }).to_string();
    let answer = Kit::new().send(post(GRAPHQL, body), true).await;
    assert_eq!(answer.body["data"]["__schema"]["queryType"]["name"], "Query", "{}", answer.body);
}

#[tokio::test]
async fn r4_introspection_is_refused_when_off() {
    let kit = Kit::new();
    for query in [
        introspection_query(),
        "{ __type(name: \"Node\") { name } }".to_owned(),
        "{ greeting ...f } fragment f on Query { a: __schema { types { name } } }".to_owned(),
    ] {
        assert_invalid(&kit.query(&query).await, "introspection is off");
    }
    assert_eq!(kit.query("{ __typename }").await.body, json!({"data": {"__typename": "Query"}}));
}

#[tokio::test]
async fn r4_names_near_those_that_are_wrong_are_not_told() {
    let kit = Kit::new();
    for query in ["{ greetin }", "mutation { int(valu: 1) }", "{ node { nam } }", "mutation { paint(input: {nam: 1}) }"]
    {
        for introspection in [false, true] {
            let body = json!({ "query": query }).to_string();
            let answer = kit.send(post(GRAPHQL, body), introspection).await;
            answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
            assert!(!answer.body.to_string().contains("Did you mean"), "{}", answer.body);
        }
    }
}
