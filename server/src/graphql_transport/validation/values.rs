//! Values within documents: a variable within a list or an input object fits its place, no member of an object stands twice, exactly one
//! member of a `@oneOf` object is given, and a literal is one of its custom scalar.

use std::collections::HashSet;

use apollo_compiler::ast::{Argument, Directive, InputValueDefinition, Type, Value, VariableDefinition};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use serde_json::{Map, Number, Value as Json};

use super::super::input_schema::InputSchema;
use super::Fault;

/// What is wrong with the values of a document that the other rules let pass.
pub(super) fn check(schema: &Schema, document: &ExecutableDocument, inputs: &InputSchema) -> Vec<Fault> {
    let mut faults = Vec::new();
    for operation in document.operations.iter() {
        let mut walk = Walk { schema, document, inputs, operation, seen: HashSet::new(), faults: &mut faults };
        walk.operation();
    }
    faults
}

/// One operation with the fragments it spreads, each once.
struct Walk<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    inputs: &'a InputSchema,
    operation: &'a Operation,
    seen: HashSet<&'a Name>,
    faults: &'a mut Vec<Fault>,
}

/// A place that takes a value.
#[derive(Clone, Copy)]
struct Place<'a> {
    ty: &'a Type,
    /// A null variable takes the default of the place.
    has_default: bool,
}

impl<'a> Place<'a> {
    fn of(definition: &'a InputValueDefinition) -> Self {
        Self { ty: &definition.ty, has_default: definition.default_value.is_some() }
    }
}

impl<'a> Walk<'a> {
    fn operation(&mut self) {
        for definition in &self.operation.variables {
            self.directives(&definition.directives);
            if let Some(default) = &definition.default_value {
                self.value(default, Place { ty: &definition.ty, has_default: false });
            }
        }
        self.directives(&self.operation.directives);
        self.selections(&self.operation.selection_set);
    }

    /// The limit on brackets bounds the recursion.
    fn selections(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, &field.definition.arguments);
                    self.directives(&field.directives);
                    self.selections(&field.selection_set);
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives);
                    self.selections(&inline.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives);
                    let Some(fragment) = self.document.fragments.get(&spread.fragment_name) else { continue };
                    if self.seen.insert(&fragment.name) {
                        self.directives(&fragment.directives);
                        self.selections(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &'a [Node<Directive>]) {
        for directive in directives {
            if let Some(definition) = self.schema.directive_definitions.get(&directive.name) {
                self.arguments(&directive.arguments, &definition.arguments);
            }
        }
    }

    fn arguments(&mut self, arguments: &'a [Node<Argument>], definitions: &'a [Node<InputValueDefinition>]) {
        for argument in arguments {
            if let Some(definition) = definitions.iter().find(|definition| definition.name == argument.name) {
                self.value(&argument.value, Place::of(definition));
            }
        }
    }

    /// The limit on brackets bounds the recursion.
    fn value(&mut self, value: &'a Node<Value>, place: Place<'a>) {
        match (&**value, place.ty) {
            (Value::Variable(name), _) => self.variable(name, value, place),
            (Value::Null, _) => {}
            (Value::List(items), Type::List(item) | Type::NonNullList(item)) => {
                for value in items {
                    self.value(value, Place { ty: item, has_default: false });
                }
            }
            // A single value stands for a list of one.
            (_, Type::List(item) | Type::NonNullList(item)) => {
                self.value(value, Place { ty: item, has_default: false })
            }
            (_, Type::Named(name) | Type::NonNullNamed(name)) => match (self.schema.types.get(name), &**value) {
                (Some(ExtendedType::InputObject(object)), Value::Object(members)) => {
                    self.members(value, members, object)
                }
                (Some(ExtendedType::Scalar(scalar)), _) if !scalar.is_built_in() && !self.is_of(name, value) => {
                    self.fault(value, format!("expected value of type {name}"));
                }
                _ => {}
            },
        }
    }

    fn is_of(&self, scalar: &str, value: &Value) -> bool {
        json(value).is_some_and(|json| self.inputs.accepts(scalar, &json))
    }

    fn variable(&mut self, name: &Name, value: &Node<Value>, place: Place<'_>) {
        let Some(definition) = self.declared(name) else { return };
        if !fits(definition, place) {
            let (own, ty) = (&definition.ty, place.ty);
            self.fault(value, format!("variable `${name}` of type `{own}` cannot be used where `{ty}` is expected"));
        }
    }

    fn declared(&self, name: &Name) -> Option<&'a VariableDefinition> {
        self.operation.variables.iter().find(|definition| definition.name == *name).map(|definition| &**definition)
    }

    fn members(&mut self, value: &Node<Value>, members: &'a [(Name, Node<Value>)], object: &'a InputObjectType) {
        let mut names = HashSet::new();
        for (name, value) in members {
            if !names.insert(name) {
                self.fault(value, format!("there can be only one input field `{name}`"));
            }
            if let Some(definition) = object.fields.get(name) {
                self.value(value, Place::of(definition));
            }
        }
        if object.directives.has("oneOf") {
            let given = match members {
                [(_, value)] => match &**value {
                    Value::Null => false,
                    Value::Variable(name) => self.declared(name).is_none_or(|definition| definition.ty.is_non_null()),
                    _ => true,
                },
                _ => false,
            };
            if !given {
                self.fault(value, format!("exactly one field of `{}` must be given, and not as null", object.name));
            }
        }
    }

    fn fault(&mut self, value: &Node<Value>, message: String) {
        let fault = Fault { message, at: value.location().map(|location| location.offset()) };
        // What stands in a fragment is met by each operation that spreads it.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// `IsVariableUsageAllowed` of the specification.
fn fits(definition: &VariableDefinition, place: Place<'_>) -> bool {
    if place.ty.is_non_null() && !definition.ty.is_non_null() {
        let never_null = definition.default_value.as_ref().is_some_and(|default| !default.is_null());
        return (never_null || place.has_default) && definition.ty.is_assignable_to(&place.ty.clone().nullable());
    }
    definition.ty.is_assignable_to(place.ty)
}

/// A literal as the scalar's own parser reads it; None when it holds a variable or an enum's name, which no scalar of ours takes.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::String(value) => Json::String(value.clone()),
        Value::Int(value) => Json::Number(value.as_str().parse::<Number>().ok()?),
        Value::Float(value) => Json::Number(value.as_str().parse::<Number>().ok()?),
        Value::List(items) => Json::Array(items.iter().map(|item| json(item)).collect::<Option<_>>()?),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| Some((name.to_string(), json(value)?)));
            Json::Object(members.collect::<Option<Map<_, _>>>()?)
        }
        Value::Enum(_) | Value::Variable(_) => return None,
    })
}
