//! The GraphQL schema: types, queries, mutations, subscriptions. No axum, no SQL (DESIGN 6).

pub mod api_key;
pub mod audit;
pub mod avatar;
pub mod caller;
pub mod connection;
pub mod creator;
pub mod credits;
pub mod data_export;
mod error;
mod following;
pub mod generation;
pub mod global_id;
pub mod history;
pub mod key_usage;
pub mod me;
pub mod mutation;
pub mod mutations;
pub mod notification;
pub mod number;
pub mod once;
mod own_profile;
pub mod payload;
pub mod query;
mod reading;
mod reads;
pub mod security;
pub mod sign_up;
pub mod staff;
pub mod subscription;

use std::sync::Arc;

use async_graphql::{SDLExportOptions, Schema, ValidationMode};
use atelier_commands::WriteSide;
use atelier_projections::{Changes, ReadModels};

pub use caller::Caller;
pub use mutation::Mutation;
pub use query::Query;
pub use subscription::Subscription;

/// The schema's type.
pub type AtelierSchema = Schema<Query, Mutation, Subscription>;

/// Both sides of the house, as resolvers see them.
#[derive(Clone)]
pub struct Sides {
    /// Where commands go.
    pub write: WriteSide,
    /// Where answers come from.
    pub read: ReadModels,
    /// Who waits for what to change.
    pub changes: Arc<Changes>,
}

/// Builds the schema over both sides.
#[must_use]
pub fn schema(sides: Sides) -> AtelierSchema {
    reads::prepare();
    let schema = Schema::build(Query, Mutation::default(), Subscription).register_output_type::<query::Node>();
    // Documents are validated before they come here, by all rules of the specification.
    schema.validation_mode(ValidationMode::Fast).data(sides).finish()
}

/// The schema as text: what `schema.graphql` holds.
#[must_use]
pub fn sdl() -> String {
    let schema = Schema::build(Query, Mutation::default(), Subscription).register_output_type::<query::Node>().finish();
    schema.sdl_with_options(SDLExportOptions::new().include_specified_by())
}
