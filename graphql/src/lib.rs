//! The GraphQL schema: types, queries, mutations. No axum, no SQL (DESIGN 6).

pub mod api_key;
pub mod avatar;
pub mod caller;
pub mod connection;
pub mod creator;
pub mod credits;
pub mod data_export;
mod error;
pub mod generation;
pub mod global_id;
pub mod key_usage;
pub mod me;
pub mod mutation;
pub mod mutations;
pub mod notification;
pub mod payload;
pub mod query;
mod reading;
pub mod security;

use async_graphql::{EmptySubscription, Schema};
use atelier_commands::WriteSide;
use atelier_projections::ReadModels;

pub use caller::Caller;
pub use mutation::Mutation;
pub use query::Query;

/// The schema's type.
pub type AtelierSchema = Schema<Query, Mutation, EmptySubscription>;

/// Both sides of the house, as resolvers see them.
#[derive(Clone)]
pub struct Sides {
    /// Where commands go.
    pub write: WriteSide,
    /// Where answers come from.
    pub read: ReadModels,
}

/// Builds the schema over both sides.
#[must_use]
pub fn schema(sides: Sides) -> AtelierSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
        .register_output_type::<query::Node>()
        .data(sides)
        .finish()
}

/// The schema as text: what `schema.graphql` holds.
#[must_use]
pub fn sdl() -> String {
    Schema::build(Query, Mutation::default(), EmptySubscription).register_output_type::<query::Node>().finish().sdl()
}
