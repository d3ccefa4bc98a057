//! What the schema takes: the fields of its inputs and the arguments of its fields, with their types.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::TestStudio;

const TYPE: &str = "type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// What a field or an argument takes.
#[derive(Debug, Clone)]
pub struct Taken {
    pub name: String,
    /// As a document writes it: `[String!]!`.
    pub written: String,
    /// The named type inside.
    pub of: String,
    /// Whether the named type is an enum.
    pub is_enum: bool,
    pub is_list: bool,
}

/// The schema's inputs.
pub struct Inputs {
    /// The fields of each input type.
    pub inputs: BTreeMap<String, Vec<Taken>>,
    /// The arguments of each field that has any, by `Type.field`.
    pub arguments: BTreeMap<String, Vec<Taken>>,
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name").to_owned()
}

fn taken(described: &Value) -> Taken {
    let (mut kind, mut before, mut after, mut is_list) = (&described["type"], String::new(), String::new(), false);
    loop {
        match kind["kind"].as_str().expect("a kind") {
            "NON_NULL" => after.insert(0, '!'),
            "LIST" => {
                is_list = true;
                before.push('[');
                after.insert(0, ']');
            }
            _ => break,
        }
        kind = &kind["ofType"];
    }
    let of = text(&kind["name"]);
    let written = format!("{before}{of}{after}");
    Taken { name: text(&described["name"]), written, of, is_enum: kind["kind"] == json!("ENUM"), is_list }
}

impl Inputs {
    /// As the studio serves them.
    pub async fn of(studio: &TestStudio) -> Self {
        let query = format!(
            "{{ __schema {{ types {{ kind name inputFields {{ name {TYPE} }} fields {{ name args {{ name {TYPE} }} }} }} }} }}"
        );
        let told = studio.graphql(None, &query, json!({})).await;
        let (mut inputs, mut arguments) = (BTreeMap::new(), BTreeMap::new());
        for kind in list(&told["__schema"]["types"]) {
            let name = text(&kind["name"]);
            if name.starts_with("__") {
                continue;
            }
            if kind["kind"] == json!("INPUT_OBJECT") {
                inputs.insert(name, list(&kind["inputFields"]).map(taken).collect());
                continue;
            }
            for field in list(&kind["fields"]).filter(|field| field["args"] != json!([])) {
                let path = format!("{name}.{}", text(&field["name"]));
                arguments.insert(path, list(&field["args"]).map(taken).collect());
            }
        }
        assert!(inputs.len() > 30 && arguments.len() > 20, "the schema was not read");
        Self { inputs, arguments }
    }
}
