//! Whether a document fits the schema: the rules of the specification, by `apollo-compiler`, and beside it those about values that it
//! leaves open. The corpus in `tests/clients/corpus` holds both to what graphql-js says.
//!
//! async-graphql's own rules are off (`ValidationMode::Fast`): they refuse documents that are valid and let others pass. What a document may
//! cost is measured before, so that nothing here meets an unbounded one.

mod values;

use apollo_compiler::Schema;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};

use super::input_schema::InputSchema;
use super::lexer;
use super::refusal::{ErrorCode, MAX_ERRORS, Refusal};

/// Fields of introspection that the executor serves and `apollo-compiler` does not know yet.
const NEWER_INTROSPECTION: &str = "extend type __Type { isOneOf: Boolean }";
/// What the text is called where sources have names; nothing shows it.
const SOURCE: &str = "document";

/// A schema that documents are checked against.
#[derive(Debug)]
pub(super) struct Validator {
    schema: Valid<Schema>,
}

/// One thing wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    message: String,
    /// The byte of the text.
    at: Option<usize>,
}

impl Validator {
    /// Reads the text a schema exports.
    ///
    /// # Errors
    /// A report of what is wrong with the schema.
    pub(super) fn read(sdl: &str) -> Result<Self, String> {
        let schema = Schema::parse_and_validate(format!("{sdl}\n{NEWER_INTROSPECTION}"), SOURCE);
        schema.map(|schema| Self { schema }).map_err(|invalid| invalid.errors.to_string())
    }

    /// Refuses a document that breaks a rule, with all that is wrong. No message repeats a value.
    pub(super) fn check(&self, text: &str, inputs: &InputSchema) -> Result<(), Refusal> {
        let faults = match Parser::new().parse_executable(&self.schema, text, SOURCE) {
            Ok(document) => match document.validate(&self.schema) {
                Ok(document) => values::check(&self.schema, &document, inputs),
                Err(invalid) => found(&invalid.errors),
            },
            Err(invalid) => found(&invalid.errors),
        };
        let refusals = faults.into_iter().take(MAX_ERRORS).map(|fault| {
            let position = fault.at.map(|at| lexer::position(text, at));
            Refusal::document(ErrorCode::GraphqlValidationFailed, fault.message).at(position)
        });
        refusals.reduce(Refusal::and).map_or(Ok(()), Err)
    }
}

fn found(errors: &DiagnosticList) -> Vec<Fault> {
    let fault = |error: &DiagnosticData| Fault {
        message: error.to_string(),
        at: error.location().map(|location| location.offset()),
    };
    errors.iter().take(MAX_ERRORS).map(|diagnostic| fault(diagnostic.error)).collect()
}
