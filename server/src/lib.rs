//! The executable atelier: configuration, composition root, CLI, HTTP, embedded PostgreSQL.

pub mod api_config;
pub mod cli;
pub mod config;
pub mod database;
pub mod demo;
mod demo_content;
mod doctor;
pub mod embedded_postgres;
pub mod graphql_transport;
mod header_value;
mod heard;
mod http;
mod keys;
pub mod logs;
pub mod node;
pub mod open_sockets;
pub mod openapi;
mod process_follower;
mod projections;
mod serve;
mod staff;
pub mod studio;
pub mod system;
mod work;
pub mod write_timeout;
