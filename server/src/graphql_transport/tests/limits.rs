//! Each limit one under and one over, and the documents made to get round them (sec.R3).

use std::fmt::Write;

use axum::http::StatusCode;
use serde_json::json;

use super::{Answer, JSON, Kit, Limits, post};

pub(super) fn assert_over(answer: &Answer, message: &str) {
    answer.assert_refused(StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED");
    assert_eq!(answer.message(), message);
}

/// Asks both on a schema with the default limits: the first is answered without error, the second is over.
pub(super) async fn assert_edge(under: &str, over: &str, message: &str) {
    let kit = Kit::new();
    let answer = kit.query(under).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, "none"), "{}", answer.body);
    let ran = kit.ran.count();
    assert_over(&kit.query(over).await, message);
    assert_eq!(kit.ran.count(), ran, "what is refused has no side effect");
}

/// A query whose deepest field is at this depth.
fn deep(depth: usize) -> String {
    format!("{{ node {{ {}name{} }} }}", "child { ".repeat(depth - 2), " }".repeat(depth - 2))
}

/// This many aliased fields of one node.
fn aliased(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        write!(text, "a{n}: name ").expect("a string grows");
        text
    })
}

#[tokio::test]
async fn r3_depth() {
    assert_edge(&deep(15), &deep(16), "the limit is 15 nested fields").await;
}

#[tokio::test]
async fn r3_depth_counts_through_fragments() {
    // Three fields above the chain of children, one leaf below it; an inline fragment is no field.
    let through = |depth: usize| {
        let (open, close) = ("child { ".repeat(depth - 4), " }".repeat(depth - 4));
        format!(
            "{{ ...a }} fragment a on Query {{ node {{ ...b }} }} \
             fragment b on Node {{ child {{ ...c }} }} fragment c on Node {{ child {{ ... {{ {open} name {close} }} }} }}"
        )
    };
    assert_edge(&through(15), &through(16), "the limit is 15 nested fields").await;
}

#[tokio::test]
async fn r3_tokens() {
    let kit = Kit::with(Limits { tokens: 3, ..Limits::default() });
    assert_eq!(kit.query("# one, two, three\n,,{ greeting, }").await.code(), "none");
    assert_over(&kit.query("query { greeting }").await, "the limit is 3 tokens");
    let answer = Kit::new().query(&"{".repeat(200_000)).await;
    assert_over(&answer, "the limit is 50 nested brackets");
    let answer = Kit::new().query(&"a ".repeat(100_000)).await;
    assert_over(&answer, "the limit is 4000 tokens");
}

#[tokio::test]
async fn r3_tokens_of_values_are_counted_too() {
    let list = |count: usize| format!("mutation {{ all(ints: [{}]) }}", "1 ".repeat(count));
    // mutation { all ( ints : [ ... ] ) } are ten.
    assert_edge(&list(3_990), &list(3_991), "the limit is 4000 tokens").await;
}

#[tokio::test]
async fn r3_brackets() {
    let nested = |count: usize| format!("{{ node {{ echo(number: {}1{}) }} }}", "[".repeat(count), "]".repeat(count));
    let kit = Kit::new();
    kit.query(&nested(47)).await.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    assert_over(&kit.query(&nested(48)).await, "the limit is 50 nested brackets");
    let types = |count: usize| format!("query ($a: {}Int{}) {{ greeting }}", "[".repeat(count), "]".repeat(count));
    kit.query(&types(49)).await.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
    assert_over(&kit.query(&types(50)).await, "the limit is 50 nested brackets");
}

#[tokio::test]
async fn r3_names() {
    let named = |length: usize| format!("{{ {}: greeting }}", "a".repeat(length));
    assert_edge(&named(200), &named(201), "the limit is 200 bytes of a name").await;
}

#[tokio::test]
async fn r3_selections_count_every_field_with_typename() {
    // The node itself is one.
    let of =
        |count: usize| format!("{{ node {{ {} }} }}", "__typename name ".repeat(count / 2) + ["", "name "][count % 2]);
    assert_edge(&of(999), &of(1_000), "the limit is 1000 selections").await;
}

#[tokio::test]
async fn r3_aliases_count_those_of_typename() {
    let of = |count: usize| format!("{{ node {{ t: __typename {} }} }}", aliased(count - 1));
    assert_edge(&of(30), &of(31), "the limit is 30 aliases").await;
}

#[tokio::test]
async fn r3_a_thousand_aliases_are_refused() {
    let answer = Kit::new().query(&format!("{{ node {{ {} }} }}", aliased(1_000))).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"));
    let kit = Kit::new();
    let tries = aliased(1_000).replace("name", "bump { name }");
    let answer = kit.query(&format!("mutation {{ {tries} }}")).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"));
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r3_aliases_hide_in_no_fragment() {
    let spread = |count: usize| {
        format!("{{ node {{ child {{ ...f }} ... on Node {{ ...f }} }} }} fragment f on Node {{ {} }}", aliased(count))
    };
    assert_edge(&spread(15), &spread(16), "the limit is 30 aliases").await;
}

#[tokio::test]
async fn r3_root_fields_of_a_query() {
    let of =
        |count: usize| format!("{{ ...f {} }} fragment f on Query {{ __typename }}", "greeting ".repeat(count - 1));
    assert_edge(&of(10), &of(11), "the limit is 10 root fields").await;
}

#[tokio::test]
async fn r3_a_mutation_has_exactly_one_root_field() {
    let one = "mutation { ... on Mutation { ...f } } fragment f on Mutation { bump { name } }";
    for two in [
        "mutation { bump { name } int(value: 1) }",
        "mutation { bump { name } bump { name } }",
        "mutation { a: bump { name } b: bump { name } }",
        "mutation { bump { name } __typename }",
        "mutation { ...f ...f } fragment f on Mutation { bump { name } }",
        "mutation { ...f bump { name } } fragment f on Mutation { ... { bump { name } } }",
        "mutation { bump @skip(if: true) { name } int(value: 1) }",
    ] {
        assert_edge(one, two, "the limit is 1 root field of a mutation").await;
    }
}

#[tokio::test]
async fn r3_directives() {
    let kit = Kit::with(Limits { root_fields: 100, ..Limits::default() });
    let of = |count: usize| format!("{{ {} }}", "greeting @include(if: true) ".repeat(count));
    assert_eq!(kit.query(&of(20)).await.code(), "none");
    assert_over(&kit.query(&of(21)).await, "the limit is 20 directives");
    let stacked = format!("{{ greeting {} }}", "@include(if: true) ".repeat(21));
    assert_over(&kit.query(&stacked).await, "the limit is 20 directives");
}

#[tokio::test]
async fn r3_directives_of_the_operation_and_its_fragments_count() {
    let kit = Kit::with(Limits { directives: 2, ..Limits::default() });
    let over = "query ($a: Int @x) @y { ...f } fragment f on Query @z { greeting }";
    assert_over(&kit.query(over).await, "the limit is 2 directives");
    let answer = kit.query("query ($a: Int @x) @y { ...f } fragment f on Query { greeting }").await;
    answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn r3_variables_bytes() {
    let body = |bytes: usize| {
        let variables = json!({ "s": "x".repeat(bytes - r#"{"s":""}"#.len()) });
        json!({ "query": "mutation ($s: String) { all(string: $s) }", "variables": variables })
    };
    let kit = Kit::new();
    assert_eq!(kit.post(body(64 * 1024)).await.code(), "none");
    assert_over(&kit.post(body(64 * 1024 + 1)).await, "the limit is 65536 bytes of variables");
    assert_eq!(kit.ran.count(), 1);
}

/// Fragments of which each spreads the next twice: 2^n selections.
fn bomb(fragments: usize) -> String {
    let mut text = String::new();
    for n in 0..fragments {
        write!(text, " fragment f{n} on Node {{ child {{ ...f{} }} ...f{} }}", n + 1, n + 1).expect("a string grows");
    }
    text + &format!(" fragment f{fragments} on Node {{ name }}")
}

#[tokio::test]
async fn r3_a_bomb_of_fragments_is_counted_not_expanded() {
    let kit = Kit::new();
    for fragments in [12, 64, 150] {
        let answer = kit.query(&format!("{{ node {{ ...f0 }} }} {}", bomb(fragments))).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"), "{}", answer.body);
    }
    let wide = (0..100).fold("{ node { ...f0 } }".to_owned(), |text, n| {
        let next = format!("...f{} ", n + 1).repeat(2);
        text + &format!(" fragment f{n} on Node {{ {next} }}")
    }) + " fragment f100 on Node { name }";
    assert_over(&kit.query(&wide).await, "the limit is 1000 selections");
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r3_a_bomb_in_an_operation_that_is_not_asked_for_is_refused_too() {
    let kit = Kit::new();
    let query = format!("query A {{ greeting }} query B {{ node {{ ...f0 }} }} {}", bomb(60));
    let answer = kit.post(json!({ "query": query, "operationName": "A" })).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn r3_fragments_in_a_circle_are_refused() {
    let kit = Kit::new();
    for query in [
        "{ node { ...a } } fragment a on Node { child { ...a } }",
        "{ node { ...a } } fragment a on Node { ...b } fragment b on Node { ...c } fragment c on Node { child { ...a } }",
        "{ greeting } fragment a on Node { ...b } fragment b on Node { ...a }",
    ] {
        let answer = kit.query(query).await;
        answer.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(answer.message(), "fragments spread each other in a circle");
    }
    assert_eq!(kit.ran.count(), 0);
}

/// A query whose innermost field stands in this many fragments that spread each other.
fn chain(length: usize) -> String {
    let fragment = |n: usize| format!(" fragment f{n} on Node {{ ...f{} }}", n + 1);
    let fragments: String = (0..length - 1).map(fragment).collect();
    format!("{{ node {{ ...f0 }} }}{fragments} fragment f{} on Node {{ name }}", length - 1)
}

#[tokio::test]
async fn r3_a_long_chain_of_fragments_is_refused_without_harm() {
    let message = "the limit is 32 nested fields and fragments";
    // The field `node` and the name are a level each.
    assert_edge(&chain(30), &chain(31), message).await;
    assert_over(&Kit::new().query(&chain(400)).await, message);
}

/// Validation walks each operation with its fragments, and fragments that no operation spreads.
#[tokio::test]
async fn r3_selections_of_all_operations_and_of_unused_fragments() {
    let operations =
        |count: usize| (0..count).fold(String::new(), |text, n| text + &format!("query Q{n} {{ node {{ ...f }} }} "));
    let names = "name ".repeat(97);
    // Each operation has a node, a spread and 97 names.
    let document = |count: usize| format!("{} fragment f on Node {{ {names} }}", operations(count));
    let kit = Kit::new();
    let ask = async |count: usize| kit.post(json!({"query": document(count), "operationName": "Q0"})).await;
    assert_eq!(ask(40).await.code(), "none");
    assert_over(&ask(41).await, "the limit is 4000 selections of a document");
    let doubling = (0..16).fold("{ greeting }".to_owned(), |text, n| {
        text + &format!(" fragment f{n} on Node {{ ...f{0} ...f{0} }}", n + 1)
    });
    let bomb = doubling + " fragment f16 on Node { name }";
    assert_over(&kit.query(&bomb).await, "the limit is 4000 selections of a document");
}

#[tokio::test]
async fn limits_are_errors_of_the_document_to_old_clients() {
    let body = json!({ "query": deep(16) }).to_string();
    let answer = Kit::new().send(post(JSON, body), false).await;
    answer.assert_refused(StatusCode::OK, "LIMIT_EXCEEDED");
}
