//! Variables are coerced before anything runs, so that a bad one stops the whole request (DESIGN 6, sec.R3). Those that the operation does
//! not declare are ignored: Relay and urql send them.

use async_graphql::parser::types::{OperationDefinition, VariableDefinition};
use async_graphql::{Name, Value as GraphqlValue, Variables};
use serde_json::{Map, Value};

use super::input_schema::InputSchema;
use super::refusal::{ErrorCode, Refusal};

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
    Ok(variables)
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
