//! The one test binary: acceptance, conformance, crash and architecture tests, on a real PostgreSQL.

mod architecture;
mod as_atelier;
mod event_forms;
mod harness;
mod journey;
