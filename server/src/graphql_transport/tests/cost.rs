//! The cost: fields, each once per item of every page it stands in (sec.R3).

use async_graphql::Variables;
use async_graphql::parser::parse_query;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::documents::introspection_query;
use super::limits::{assert_edge, assert_over};
use super::{Answer, GRAPHQL, Kit, Limits, post};
use crate::graphql_transport::input_schema::InputSchema;
use crate::graphql_transport::measure::{Bounds, check};

const OVER: &str = "the limit is 5000 fields over all items of all pages";

/// This many fields of one node.
fn names(count: usize) -> String {
    "name ".repeat(count)
}

/// Whether a document is within this cost on a schema, the other limits being as they are by default.
fn fits(sdl: &str, query: &str, cost: usize) -> bool {
    let schema = InputSchema::read(sdl).expect("the schema reads back");
    let document = parse_query(query).expect("a document");
    let bounds = Bounds {
        schema: &schema,
        limits: &Limits { cost, ..Limits::default() },
        variables: Some(&Variables::default()),
    };
    match check(&document, bounds, true) {
        Ok(()) => true,
        Err(refusal) => {
            let message = format!("the limit is {cost} fields over all items of all pages");
            assert_eq!((refusal.code.as_str(), refusal.message), ("LIMIT_EXCEEDED", message), "{query}");
            false
        }
    }
}

/// Whether the studio's own schema takes a document with the limits as they are by default.
fn studio_takes(query: &str) -> bool {
    fits(&atelier_graphql::sdl(), query, Limits::default().cost)
}

#[tokio::test]
async fn r3_cost() {
    // The node, its page of 100 times 49, and the names beside.
    let of = |beside: usize| format!("{{ node {{ children(first: 100) {{ {} }} {} }} }}", names(49), names(beside));
    assert_edge(&of(98), &of(99), OVER).await;
}

#[tokio::test]
async fn r3_cost_of_a_mutation() {
    let of =
        |beside: usize| format!("mutation {{ bump {{ children(first: 100) {{ {} }} {} }} }}", names(49), names(beside));
    assert_edge(&of(98), &of(99), OVER).await;
}

#[tokio::test]
async fn r3_cost_counts_pages_within_pages_and_through_fragments() {
    // The node, the page of items, and the page of ten such pages.
    let query = "{ node { ...page ... on Node { b: children(first: 10) { ...page } } } } \
                 fragment page on Node { children(first: 10) { ...item } } fragment item on Node { child { name } }";
    let cost = 1 + (1 + 10 * 2) + (1 + 10 * (1 + 10 * 2));
    assert_eq!(Kit::with(Limits { cost, ..Limits::default() }).query(query).await.code(), "none");
    let over = Kit::with(Limits { cost: cost - 1, ..Limits::default() }).query(query).await;
    assert_over(&over, &format!("the limit is {} fields over all items of all pages", cost - 1));
}

async fn paged(declared: &str, items: usize, variables: Value) -> Answer {
    let query = format!(
        "query ({declared}) {{ node {{ ...f }} }} fragment f on Node {{ children(first: $n) {{ {} }} }}",
        names(items)
    );
    Kit::new().post(json!({ "query": query, "variables": variables })).await
}

#[tokio::test]
async fn r3_cost_of_a_page_whose_size_is_a_variable() {
    for (declared, variables) in
        [("$n: Int", json!({"n": 99})), ("$n: Int = 99", json!({})), ("$n: Int! = 100", json!({"n": 99}))]
    {
        let answer = paged(declared, 50, variables).await;
        assert_eq!(answer.code(), "none", "{declared}: {}", answer.body);
    }
    for (declared, variables) in
        [("$n: Int", json!({"n": 100})), ("$n: Int = 100", json!({})), ("$n: Int! = 1", json!({"n": 100}))]
    {
        assert_over(&paged(declared, 50, variables).await, OVER);
    }
}

#[tokio::test]
async fn r3_cost_of_a_page_without_a_size_is_that_of_50() {
    let of = |items: usize, size: &str| format!("{{ node {{ children{size} {{ {} }} }} }}", names(items));
    for size in ["", "(first: null)"] {
        assert_edge(&of(99, size), &of(100, size), OVER).await;
    }
    for variables in [json!({}), json!({"n": null})] {
        assert_eq!(paged("$n: Int", 99, variables.clone()).await.code(), "none");
        assert_over(&paged("$n: Int", 100, variables).await, OVER);
    }
}

#[tokio::test]
async fn r3_a_size_that_no_page_has_makes_nothing_free_and_stays_its_resolvers_to_refuse() {
    for size in ["0", "-1", "-2147483648"] {
        let query = format!("{{ node {{ children(first: {size}) {{ name }} }} }}");
        assert_eq!(Kit::with(Limits { cost: 3, ..Limits::default() }).query(&query).await.code(), "none", "{size}");
        let over = Kit::with(Limits { cost: 2, ..Limits::default() }).query(&query).await;
        assert_over(&over, "the limit is 2 fields over all items of all pages");
    }
    let huge = "{ node { children(first: 2147483647) { name } } }";
    assert_eq!(Kit::with(Limits { cost: 102, ..Limits::default() }).query(huge).await.code(), "none");
    for size in ["18446744073709551616", "1e300", "1.5", "\"1\"", "[1]", "ONE", "{a: 1}"] {
        let query = format!("{{ node {{ children(first: {size}) {{ name }} }} }}");
        let kit = Kit::new();
        kit.query(&query).await.assert_refused(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(kit.ran.count(), 0);
    }
}

#[tokio::test]
async fn r3_a_bomb_of_pages_saturates() {
    // Fields that cost 64^n - 1, in a page beside 62 names, make it 64^(n + 1) - 1; a name more, and it is 64^10 or 2^60.
    let page = |beside: usize, within: &str| format!("{} children(first: 64) {{ {within} }}", names(beside));
    let within = page(63, &(0..8).fold(names(63), |within, _| page(62, &within)));
    let kit = Kit::new();
    assert_over(&kit.query(&format!("{{ node {{ {} }} }}", page(0, &within))).await, OVER);
    assert_eq!(kit.ran.count(), 0);
}

#[tokio::test]
async fn r3_the_cost_of_an_operation_that_is_not_asked_for_counts_too() {
    let query = "query A { greeting } query B { node { children(first: 100) { children(first: 100) { name } } } }";
    assert_over(&Kit::new().post(json!({ "query": query, "operationName": "A" })).await, OVER);
}

#[tokio::test]
async fn r4_introspection_has_no_pages() {
    let body = json!({ "query": introspection_query() }).to_string();
    let answer = Kit::new().send(post(GRAPHQL, body), true).await;
    assert_eq!(answer.code(), "none", "{}", answer.body);
    assert!(studio_takes(&introspection_query()));
    // Pages by the names that introspection uses, which do not multiply there.
    let sdl = "type Query { types(first: Int): Query fields(first: Int): Query args(first: Int): Query ofType(first: Int): Query }";
    assert!(fits(sdl, &introspection_query(), Limits::default().cost));
    assert!(!fits(sdl, "{ types { fields { args { __typename } } } }", Limits::default().cost));
    assert!(fits(sdl, "{ __type(name: \"Query\") { fields { name } } }", 3));
    assert!(!fits(sdl, "{ __type(name: \"Query\") { fields { name } } }", 2), "it is not free either");
}

#[test]
fn r3_the_pages_of_the_studio_are_known_from_its_schema() {
    let schema = InputSchema::read(&atelier_graphql::sdl()).expect("our schema reads back");
    for field in ["explore", "published", "creations", "transactions", "apiKeys"] {
        assert!(schema.is_paged(field), "{field}");
    }
    for field in ["me", "creator", "edges", "node", "sessions", "models", "images", "first"] {
        assert!(!schema.is_paged(field), "{field}");
    }
}

/// Every field of a generation.
const GENERATION: &str = "id status model mediaType prompt width height images { url contentType width height bytes } \
     published createdAt endedAt numImages seed price creditsUsed failure creator { id username displayName bio rank }";

#[test]
fn r3_the_screens_of_the_web_app_fit() {
    let card = "id status prompt model width height createdAt images { url }";
    let account = "profile { username displayName bio email emailVerified plan createdAt } \
         rank { current count next nextAt remaining ratio } credits { available held expiringSoon position } \
         sessions { id current startedAt expiresAt }";
    // With the sizes a client gives, and with none.
    for (twenty, fifty) in [("(first: 20)", "(first: 50)"), ("", "")] {
        let screen = format!(
            "{{ me {{ {account} \
               transactions{twenty} {{ edges {{ node {{ id kind amount generationId priceVersion at settledAt }} }} }} \
               creations{fifty} {{ edges {{ node {{ id prompt status images {{ url width }} creditsUsed creator {{ displayName }} }} }} }} \
               apiKeys{twenty} {{ edges {{ node {{ id label prefix last4 environment scopes createdAt revokedAt }} }} }} }} \
             explore{twenty} {{ edges {{ node {{ {card} }} }} }} \
             creator(username: \"ada\") {{ displayName published{twenty} {{ edges {{ node {{ {card} }} }} }} }} }}"
        );
        assert!(studio_takes(&screen), "{screen}");
    }
    let page = "pageInfo { hasNextPage endCursor } position";
    let feed = format!(
        "{{ explore(first: 100) {{ edges {{ cursor node {{ {card} creator {{ username displayName }} }} }} {page} }} }}"
    );
    assert!(studio_takes(&feed));
    let whole = format!("{{ me {{ creations(first: 100) {{ edges {{ cursor node {{ {GENERATION} }} }} {page} }} }} }}");
    assert!(studio_takes(&whole), "a full page of whole generations");
}

#[test]
fn r3_full_pages_within_full_pages_are_refused() {
    for query in [
        "{ explore(first: 100) { edges { node { creator { published(first: 100) { edges { node { id } } } } } } } }",
        "{ explore { edges { node { creator { published { edges { node { id } } } } } } } }",
        "{ explore(first: 100) { edges { node { creator { published(first: 100) { edges { node { creator { \
         published(first: 100) { edges { node { id } } } } } } } } } } } }",
        "{ explore(first: 100) { edges { node { creator { ...work } } } } } \
         fragment work on Creator { published(first: 100) { edges { node { id } } } }",
        "{ me { creations(first: 100) { edges { node { creator { published(first: 100) { position } } } } } \
         again: creations(first: 100) { edges { node { creator { published(first: 100) { position } } } } } } }",
    ] {
        assert!(!studio_takes(query), "{query}");
    }
    let small =
        "{ explore(first: 10) { edges { node { creator { published(first: 3) { edges { node { id } } } } } } } }";
    assert!(studio_takes(small));
}
