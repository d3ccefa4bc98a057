//! The schema as the server tells it: types, their fields, and what those take.

use std::collections::BTreeMap;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
};

use crate::harness::TestStudio;

/// An argument of a field.
#[derive(Debug)]
pub struct Input {
    pub name: String,
    /// As written, with its modifiers.
    pub kind: String,
    pub nullable: bool,
    /// The default, as a literal.
    pub default: Option<String>,
}

/// A field of an object type.
#[derive(Debug)]
pub struct Field {
    pub name: String,
    /// The named type inside lists and non-nulls.
    pub of: String,
    pub arguments: Vec<Input>,
}

impl Field {
    /// Whether it takes an argument of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.arguments.iter().any(|argument| argument.name == name)
    }

    /// Whether it cannot be asked for without an argument of this name.
    pub fn requires(&self, name: &str) -> bool {
        self.arguments.iter().any(|argument| argument.name == name && !argument.nullable && argument.default.is_none())
    }
}

/// The schema's text, read.
#[derive(Debug)]
pub struct Served {
    pub objects: BTreeMap<String, Vec<Field>>,
}

impl Served {
    /// As the studio serves it.
    pub async fn of(studio: &TestStudio) -> Self {
        Self::read(&studio.get("/schema.graphql", None).await.text)
    }

    fn read(text: &str) -> Self {
        let mut objects = BTreeMap::new();
        for definition in parse_schema(text).expect("the schema can be read").definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            if let TypeKind::Object(body) = definition.node.kind {
                objects.insert(name, body.fields.into_iter().map(|field| output(field.node)).collect());
            }
        }
        assert!(objects.len() > 30, "the schema was not read");
        Self { objects }
    }

    /// The fields of an object type; empty for anything else.
    pub fn fields(&self, of: &str) -> &[Field] {
        self.objects.get(of).map_or(&[], Vec::as_slice)
    }

    /// A field that there must be.
    pub fn field(&self, of: &str, name: &str) -> &Field {
        let found = self.fields(of).iter().find(|field| field.name == name);
        found.unwrap_or_else(|| panic!("there is no {of}.{name}"))
    }
}

fn output(field: FieldDefinition) -> Field {
    let arguments = field.arguments.into_iter().map(|argument| input(argument.node)).collect();
    Field { name: field.name.node.to_string(), of: named(&field.ty.node), arguments }
}

fn input(value: InputValueDefinition) -> Input {
    Input {
        name: value.name.node.to_string(),
        kind: value.ty.node.to_string(),
        nullable: value.ty.node.nullable,
        default: value.default_value.map(|default| default.node.to_string()),
    }
}

fn named(kind: &Type) -> String {
    match &kind.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(inner) => named(inner),
    }
}
