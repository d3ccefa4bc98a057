//! The one test binary: acceptance, conformance, crash and architecture tests, on a real PostgreSQL.

mod architecture;
mod as_atelier;
mod committed_files;
mod event_forms;
mod harness;
mod journey;
mod projections;
