//! The schema as the server tells it, and documents that ask for everything in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::TestStudio;

const INTROSPECTION: &str = "{ __schema { types { kind name possibleTypes { name } fields { name \
    args { name type { kind } } type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

/// A field: its name, the type it ends in, and its arguments.
pub struct Field {
    pub name: String,
    /// The named type inside lists and non-nulls.
    pub of: String,
    /// Whether it takes `first`: a page.
    pub pages: bool,
}

/// The types with fields.
pub struct Schema {
    types: BTreeMap<String, Vec<Field>>,
    interfaces: BTreeMap<String, Vec<String>>,
}

/// The type inside lists and non-nulls.
fn named(kind: &Value) -> String {
    match kind["name"].as_str() {
        Some(name) => name.to_owned(),
        None => named(&kind["ofType"]),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

impl Schema {
    /// As the studio serves it.
    pub async fn of(studio: &TestStudio) -> Self {
        let told = studio.graphql(None, INTROSPECTION, json!({})).await;
        let (mut types, mut interfaces) = (BTreeMap::new(), BTreeMap::new());
        for kind in list(&told["__schema"]["types"]) {
            let name = text(&kind["name"]);
            if name.starts_with("__") {
                continue;
            }
            if kind["kind"] == json!("INTERFACE") {
                interfaces.insert(name, list(&kind["possibleTypes"]).map(|one| text(&one["name"])).collect());
            } else if kind["kind"] == json!("OBJECT") {
                let field = |field: &Value| Field {
                    name: text(&field["name"]),
                    of: named(&field["type"]),
                    pages: list(&field["args"]).any(|argument| argument["name"] == json!("first")),
                };
                types.insert(name, list(&kind["fields"]).map(field).collect());
            }
        }
        assert!(types.len() > 30 && interfaces.contains_key("Node"), "the schema was not read");
        Self { types, interfaces }
    }

    /// The fields of a type; empty for scalars and enums.
    pub fn fields(&self, of: &str) -> &[Field] {
        self.types.get(of).map_or(&[], Vec::as_slice)
    }

    /// The types behind an interface, by name.
    pub fn kinds(&self, interface: &str) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.interfaces[interface].iter().map(String::as_str).collect();
        kinds.sort_unstable();
        kinds
    }

    /// Every object type with its fields' names, but the roots and the payloads: those have rows by mutation.
    pub fn things(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let is_thing =
            |name: &str| !["Query", "Mutation", "Subscription"].contains(&name) && !name.ends_with("Payload");
        let things = self.types.iter().filter(|(name, _)| is_thing(name));
        things.map(|(name, fields)| (name.as_str(), fields.iter().map(|field| field.name.as_str()).collect())).collect()
    }

    /// A selection of everything below a type, no type within itself; pages of three.
    pub fn everything(&self, of: &str) -> String {
        self.below(of, &mut Vec::new())
    }

    /// The same, each field of the type by itself, of an interface each type: fields of one name and two types cannot stand together.
    pub fn parts(&self, of: &str) -> Vec<String> {
        if let Some(kinds) = self.interfaces.get(of) {
            let part = |kind: &String| format!("{{ __typename ... on {kind} {} }}", self.everything(kind));
            return kinds.iter().map(part).collect();
        }
        let part = |field: &Field| {
            let page = if field.pages { "(first: 3)" } else { "" };
            let below = if self.fields(&field.of).is_empty() { String::new() } else { self.everything(&field.of) };
            format!("{{ {}{page} {below} }}", field.name)
        };
        self.fields(of).iter().map(part).collect()
    }

    fn below(&self, of: &str, path: &mut Vec<String>) -> String {
        if let Some(kinds) = self.interfaces.get(of) {
            let each = kinds.iter().map(|kind| format!("... on {kind} {} ", self.below(kind, path)));
            return format!("{{ __typename {} }}", each.collect::<String>());
        }
        path.push(of.to_owned());
        let mut parts = Vec::new();
        for Field { name, of, pages } in self.fields(of) {
            let leaf = !self.types.contains_key(of) && !self.interfaces.contains_key(of);
            let page = if *pages { "(first: 3)" } else { "" };
            if leaf {
                parts.push(name.clone());
            } else if !path.contains(of) {
                parts.push(format!("{name}{page} {}", self.below(of, path)));
            }
        }
        path.pop();
        format!("{{ {} }}", parts.join(" "))
    }

    /// The paths of an answer's values that are not null, `Type.field` by `Type.field`; the places in lists left out.
    pub fn shown(&self, of: &str, value: &Value) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        self.walk(of, value, &mut Vec::new(), &mut found);
        found
    }

    fn walk(&self, of: &str, value: &Value, path: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.walk(of, item, path, found)),
            Value::Object(members) => {
                let of = members.get("__typename").and_then(Value::as_str).unwrap_or(of);
                for (name, value) in members.iter().filter(|(name, value)| *name != "__typename" && !value.is_null()) {
                    let field = self.fields(of).iter().find(|field| field.name == *name).expect("it was asked for");
                    path.push(format!("{of}.{name}"));
                    found.insert(path.clone());
                    self.walk(&field.of, value, path, found);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}
