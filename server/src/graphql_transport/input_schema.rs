//! What the schema takes, read from its text, so that a request can be checked before anything runs.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{BaseType, InputObjectType, Type, TypeDefinition, TypeKind, TypeSystemDefinition};
use async_graphql::parser::{Error as ParseError, parse_schema};
use async_graphql::{ScalarType, Value as GraphqlValue};
use chrono::{DateTime, FixedOffset, NaiveDate};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::refusal::shown;

/// The argument by which a field takes the size of its page.
pub(super) const PAGE_SIZE: &str = "first";

/// Every type a variable may have, and the fields that answer by the page.
#[derive(Debug)]
pub(super) struct InputSchema {
    kinds: HashMap<String, InputKind>,
    paged: HashSet<String>,
}

#[derive(Debug)]
enum InputKind {
    Scalar(Scalar),
    Enum(HashSet<String>),
    Object { fields: HashMap<String, InputField>, one_of: bool },
}

#[derive(Debug, Clone, Copy)]
enum Scalar {
    Int,
    Float,
    String,
    Boolean,
    Id,
    Uuid,
    DateTime,
    NaiveDate,
    /// An integer that every JSON reader keeps exact.
    Long,
    /// Any other: only its resolver knows.
    Other,
}

#[derive(Debug)]
struct InputField {
    ty: Type,
    optional: bool,
}

/// Where in a value a fault sits, and what is wrong there; never the value itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// As `.items[2].name`, empty for the value itself.
    pub(super) path: String,
    pub(super) what: String,
}

impl Mismatch {
    fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    fn expected(ty: impl std::fmt::Display) -> Self {
        Self::new(format!("expected {ty}"))
    }

    fn under(mut self, segment: &str) -> Self {
        self.path.insert_str(0, segment);
        self
    }
}

impl InputSchema {
    /// Reads the text a schema exports.
    pub(super) fn read(sdl: &str) -> Result<Self, ParseError> {
        let built_in = [
            ("Int", Scalar::Int),
            ("Float", Scalar::Float),
            ("String", Scalar::String),
            ("Boolean", Scalar::Boolean),
            ("ID", Scalar::Id),
        ];
        let mut kinds: HashMap<_, _> =
            built_in.into_iter().map(|(name, scalar)| (name.to_owned(), InputKind::Scalar(scalar))).collect();
        let mut paged = HashSet::new();
        for definition in parse_schema(sdl)?.definitions {
            if let TypeSystemDefinition::Type(definition) = definition {
                paged.extend(paged_fields(&definition.node.kind));
                let name = definition.node.name.node.to_string();
                if let Some(kind) = InputKind::of(definition.node) {
                    kinds.insert(name, kind);
                }
            }
        }
        Ok(Self { kinds, paged })
    }

    /// Whether a field of this name takes the size of its page, in any type of the schema.
    pub(super) fn is_paged(&self, field: &str) -> bool {
        self.paged.contains(field)
    }

    /// Whether a literal, as JSON, is one of this scalar.
    pub(super) fn accepts(&self, scalar: &str, value: &Value) -> bool {
        matches!(self.kinds.get(scalar), Some(InputKind::Scalar(scalar)) if scalar.accepts(value))
    }

    /// Whether a value is one of this type; a single value stands for a list of one.
    pub(super) fn check(&self, ty: &Type, value: &Value) -> Result<(), Mismatch> {
        if value.is_null() {
            return if ty.nullable { Ok(()) } else { Err(Mismatch::expected(ty)) };
        }
        match (&ty.base, value) {
            (BaseType::List(inner), Value::Array(items)) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.check(inner, item).map_err(|mismatch| mismatch.under(&format!("[{index}]")))
            }),
            (BaseType::List(inner), single) => self.check(inner, single),
            (BaseType::Named(name), value) => match self.kinds.get(name.as_str()) {
                Some(InputKind::Scalar(scalar)) if scalar.accepts(value) => Ok(()),
                Some(InputKind::Enum(names)) if value.as_str().is_some_and(|value| names.contains(value)) => Ok(()),
                Some(InputKind::Object { fields, one_of }) => {
                    let members = value.as_object().ok_or_else(|| Mismatch::expected(name))?;
                    self.check_members(fields, *one_of, members)
                }
                Some(InputKind::Scalar(_) | InputKind::Enum(_)) | None => Err(Mismatch::expected(name)),
            },
        }
    }

    fn check_members(
        &self,
        fields: &HashMap<String, InputField>,
        one_of: bool,
        members: &Map<String, Value>,
    ) -> Result<(), Mismatch> {
        if one_of && (members.len() != 1 || members.values().any(Value::is_null)) {
            return Err(Mismatch::new("expected exactly one field"));
        }
        for (name, value) in members {
            let field = fields.get(name).ok_or_else(|| Mismatch::new(format!("unknown field \"{}\"", shown(name))))?;
            self.check(&field.ty, value).map_err(|mismatch| mismatch.under(&format!(".{name}")))?;
        }
        let missing = fields.iter().filter(|(name, field)| !field.optional && !members.contains_key(*name));
        match missing.map(|(name, _)| name).min() {
            Some(name) => Err(Mismatch::new("required").under(&format!(".{name}"))),
            None => Ok(()),
        }
    }
}

impl InputKind {
    /// None for a type that only comes out.
    fn of(definition: TypeDefinition) -> Option<Self> {
        match definition.kind {
            TypeKind::Scalar => Some(Self::Scalar(match definition.name.node.as_str() {
                "UUID" => Scalar::Uuid,
                "DateTime" => Scalar::DateTime,
                "NaiveDate" => Scalar::NaiveDate,
                "Long" => Scalar::Long,
                _ => Scalar::Other,
            })),
            TypeKind::Enum(body) => {
                Some(Self::Enum(body.values.into_iter().map(|value| value.node.value.node.to_string()).collect()))
            }
            TypeKind::InputObject(body) => {
                let one_of = definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
                Some(Self::Object { fields: fields(body), one_of })
            }
            TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_) => None,
        }
    }
}

fn paged_fields(kind: &TypeKind) -> impl Iterator<Item = String> {
    let fields = match kind {
        TypeKind::Object(body) => body.fields.as_slice(),
        TypeKind::Interface(body) => body.fields.as_slice(),
        TypeKind::Scalar | TypeKind::Union(_) | TypeKind::Enum(_) | TypeKind::InputObject(_) => &[],
    };
    let paged = fields.iter().map(|field| &field.node);
    paged
        .filter(|field| field.arguments.iter().any(|argument| argument.node.name.node == PAGE_SIZE))
        .map(|field| field.name.node.to_string())
}

fn fields(body: InputObjectType) -> HashMap<String, InputField> {
    let field = |field: async_graphql::parser::types::InputValueDefinition| {
        let optional = field.ty.node.nullable || field.default_value.is_some();
        (field.name.node.to_string(), InputField { ty: field.ty.node, optional })
    };
    body.fields.into_iter().map(|definition| field(definition.node)).collect()
}

impl Scalar {
    /// Whether a JSON value that is not null is one of this scalar.
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Int => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Float => value.is_number(),
            Self::String => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Id => value.is_string() || value.is_i64() || value.is_u64(),
            Self::Uuid => parses::<Uuid>(value),
            Self::DateTime => parses::<DateTime<FixedOffset>>(value),
            Self::NaiveDate => parses::<NaiveDate>(value),
            Self::Long => value.as_i64().is_some_and(|number| number.unsigned_abs() < 1 << 53),
            Self::Other => true,
        }
    }
}

/// Whether the scalar's own parser, which the resolver will use, takes this string.
fn parses<S: ScalarType>(value: &Value) -> bool {
    value.as_str().is_some_and(|text| S::parse(GraphqlValue::String(text.to_owned())).is_ok())
}
