//! The executable atelier: configuration, composition root, CLI, HTTP, embedded PostgreSQL.

pub mod embedded_postgres;
