//! The log: a conformance suite of the event-store port, and what the PostgreSQL adapter promises beyond it (DESIGN 3).

mod append_only;
pub mod appends;
mod batches;
mod bounds;
mod conformance;
mod faults;
mod follower;
mod instants;
mod keys;
mod killed;
pub mod lossy_link;
mod mutants;
mod order;
mod processes;
mod racers;
mod snapshots;
mod stock;
pub mod test_log;
mod tls;
pub mod unknown;
