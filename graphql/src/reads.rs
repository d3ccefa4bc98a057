//! What each field reads: the read models behind a selection, so that a root field waits for those and for no others.
//!
//! A field that reads a model without a line here fails at once, whoever asks for it: the snapshot was not asked for that model.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{BaseType, TypeKind, TypeSystemDefinition};
use async_graphql::{Context, SelectionField};
use atelier_projections::models::{
    account_history, api_keys, creations, credit_balance, data_exports, explore, notification_preferences, profile,
    rank, sessions, transaction_history,
};

/// The read models that a field reads by itself; what its own fields read stands in their lines.
const READS: &[(&str, &str, &[&str])] = &[
    ("Query", "creator", &[profile::NAME]),
    ("Query", "explore", &[explore::NAME]),
    ("Query", "generation", &[creations::NAME]),
    ("Subscription", "generationUpdated", &[creations::NAME]),
    ("Subscription", "balanceChanged", &[credit_balance::NAME]),
    // None of it is shown, but who is told that a generation is ready can ask for it at the event's position.
    ("Subscription", "notifications", &[creations::NAME]),
    ("RequestGenerationPayload", "generation", &[creations::NAME]),
    ("RequestGenerationPayload", "generationEdge", &[creations::NAME]),
    ("CreateApiKeyPayload", "apiKeyEdge", &[api_keys::NAME]),
    ("RotateApiKeyPayload", "apiKeyEdge", &[api_keys::NAME]),
    ("RevokeApiKeyPayload", "apiKey", &[api_keys::NAME]),
    ("CancelGenerationPayload", "generation", &[creations::NAME]),
    ("StaffViewAccountPayload", "account", &[profile::NAME]),
    ("StaffAccountView", "sessions", &[sessions::NAME]),
    ("StaffAccountView", "apiKeys", &[api_keys::NAME]),
    ("Me", "profile", &[profile::NAME]),
    ("Me", "rank", &[rank::NAME]),
    ("Me", "progress", &[rank::NAME]),
    ("Me", "credits", &[credit_balance::NAME]),
    ("Me", "transactions", &[transaction_history::NAME]),
    ("Me", "creations", &[creations::NAME]),
    ("Me", "preferences", &[profile::NAME, notification_preferences::NAME]),
    ("Me", "sessions", &[sessions::NAME]),
    ("Me", "history", &[account_history::NAME]),
    ("Me", "dataExports", &[data_exports::NAME]),
    ("Me", "apiAccess", &[profile::NAME]),
    ("Me", "apiKeys", &[api_keys::NAME]),
    ("Generation", "creator", &[profile::NAME]),
    ("Creator", "rank", &[rank::NAME]),
    ("Creator", "published", &[explore::NAME]),
    ("Audit", "history", &[account_history::NAME]),
    ("Ledger", "balance", &[credit_balance::NAME]),
    ("Ledger", "transactions", &[transaction_history::NAME]),
];

/// The named type of every field of every type, from the schema itself.
static TYPES: LazyLock<HashMap<(String, String), String>> = LazyLock::new(|| {
    let schema = parse_schema(crate::sdl()).expect("the schema's own text can be read");
    let mut types = HashMap::new();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::Object(object) = definition.node.kind else { continue };
        let of = definition.node.name.node;
        for field in object.fields {
            let name = field.node.name.node.to_string();
            types.insert((of.to_string(), name), named(field.node.ty.node.base));
        }
    }
    types
});

/// The type inside lists.
fn named(base: BaseType) -> String {
    match base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(inner) => named(inner.base),
    }
}

/// Reads the schema now, so that no request has to.
pub(crate) fn prepare() {
    LazyLock::force(&TYPES);
}

/// The read models behind the field that is being resolved, as if it were this one: `node` is a `generation` or a `creator`, whichever
/// its id names. Fragments are looked into, and what `@skip` and `@include` leave out has already been taken out of the document.
pub(crate) fn behind(context: &Context<'_>, of: &str, field: &str) -> Vec<&'static str> {
    let mut models = BTreeSet::new();
    collect(of, field, context.field(), &mut models);
    models.into_iter().collect()
}

fn collect(of: &str, name: &str, field: SelectionField<'_>, models: &mut BTreeSet<&'static str>) {
    let line = READS.iter().find(|(type_name, field_name, _)| (*type_name, *field_name) == (of, name));
    models.extend(line.into_iter().flat_map(|(.., models)| models.iter()));
    let Some(of) = TYPES.get(&(of.to_owned(), name.to_owned())) else { return };
    for below in field.selection_set() {
        collect(of, below.name(), below, models);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_field_of_the_schema_and_every_read_model_is_behind_one() {
        for (of, field, _) in READS {
            assert!(TYPES.contains_key(&((*of).to_owned(), (*field).to_owned())), "{of}.{field}");
        }
        let all: BTreeSet<&str> = atelier_projections::models::all().iter().map(|model| model.name()).collect();
        let read: BTreeSet<&str> = READS.iter().flat_map(|(.., models)| models.iter().copied()).collect();
        assert_eq!(read, all);
    }
}
