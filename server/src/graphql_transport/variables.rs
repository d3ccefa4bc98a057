//! Variables are coerced before anything runs, so that a bad one stops the whole request (DESIGN 6, sec.R3).
//!
//! The validator of async-graphql checks an argument with the variables put in, but gives an argument up as soon as one
//! of its variables is absent, takes any value for an input object, ignores variables nobody declared, and aborts on a
//! default for a list of an unknown type. What it leaves open is closed here.

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, VariableDefinition};
use async_graphql::{Name, Value as GraphqlValue, Variables};
use serde_json::{Map, Value};

use super::input_schema::InputSchema;
use super::refusal::{ErrorCode, Refusal, shown};

/// Refuses a document that declares a variable of a type that is no input type, in any of its operations.
pub(super) fn check_declared(document: &ExecutableDocument, schema: &InputSchema) -> Result<(), Refusal> {
    for (_, operation) in document.operations.iter() {
        for definition in &operation.node.variable_definitions {
            if !schema.knows(&definition.node.var_type.node) {
                let message = format!("variable ${} is not of an input type", shown(&definition.node.name.node));
                return Err(Refusal::document(ErrorCode::GraphqlValidationFailed, message).at([definition.pos]));
            }
        }
    }
    Ok(())
}

/// The values the operation runs with: those given, checked against the declared types, and the declared defaults.
pub(super) fn coerce(
    operation: &OperationDefinition,
    mut given: Map<String, Value>,
    schema: &InputSchema,
) -> Result<Variables, Refusal> {
    let mut variables = Variables::default();
    for definition in &operation.variable_definitions {
        let name = &definition.node.name.node;
        let value = match given.remove(name.as_str()) {
            Some(value) => {
                Some(checked(&definition.node, value, schema).map_err(|refusal| refusal.at([definition.pos]))?)
            }
            None => definition.node.default_value.as_ref().map(|default| default.node.clone()),
        };
        match value {
            Some(value) => {
                variables.insert(name.clone(), value);
            }
            // Absent is not null: a resolver may tell them apart.
            None if definition.node.var_type.node.nullable => {}
            None => return Err(bad_input(format!("variable ${name} is required")).at([definition.pos])),
        }
    }
    match given.keys().next() {
        Some(name) => Err(bad_input(format!("unknown variable \"{}\"", shown(name)))),
        None => Ok(variables),
    }
}

fn checked(definition: &VariableDefinition, value: Value, schema: &InputSchema) -> Result<GraphqlValue, Refusal> {
    let name: &Name = &definition.name.node;
    schema
        .check(&definition.var_type.node, &value)
        .map_err(|mismatch| bad_input(format!("variable ${name}{}: {}", mismatch.path, mismatch.what)))?;
    GraphqlValue::from_json(value).map_err(|_| bad_input(format!("variable ${name}: not a value")))
}

fn bad_input(message: String) -> Refusal {
    Refusal::document(ErrorCode::BadInput, message)
}
