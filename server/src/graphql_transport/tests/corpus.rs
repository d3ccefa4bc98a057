//! The frozen corpus: what graphql-js says of each document, without node. `make clients` compares a fresh one over the schema of today.

use serde::Deserialize;

use super::super::input_schema::InputSchema;
use super::super::validation::Validator;
use super::super::{Limits, lexer};

const SCHEMA: &str = include_str!("../../../../tests/clients/corpus/frozen.graphql");
const DOCUMENTS: &str = include_str!("../../../../tests/clients/corpus/frozen.json");

#[derive(Deserialize)]
struct Document {
    name: String,
    query: String,
    valid: bool,
}

#[test]
fn b3_every_document_is_as_valid_as_graphql_js_says() {
    let inputs = InputSchema::read(SCHEMA).expect("the frozen schema reads back");
    let validator = Validator::read(SCHEMA).expect("the frozen schema is valid");
    let documents: Vec<Document> = serde_json::from_str(DOCUMENTS).expect("the frozen documents are JSON");
    assert!(documents.len() >= 200);
    let different = documents.iter().filter(|document| {
        let text = lexer::read(&document.query, &Limits::default()).ok();
        let text = text.filter(|text| async_graphql::parser::parse_query(text).is_ok());
        text.is_some_and(|text| validator.check(&text, &inputs).is_ok()) != document.valid
    });
    let different: Vec<_> = different.map(|document| (&document.name, document.valid, &document.query)).collect();
    assert!(different.is_empty(), "{different:#?}");
}
