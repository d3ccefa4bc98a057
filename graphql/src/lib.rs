//! The GraphQL schema: types, queries, mutations. No axum, no SQL.
