//! The one test binary: acceptance, conformance, crash and architecture tests, on a real PostgreSQL.

mod accounts;
mod architecture;
mod as_atelier;
mod authorization;
mod branches;
mod canary;
mod command_path;
mod committed_files;
mod crash;
mod credentials;
mod edge;
mod event_forms;
mod failover;
mod graphql;
mod harness;
mod inputs;
mod journey;
mod log;
mod media;
mod processes;
mod projections;
mod rest;
mod running;
mod upgrade;
