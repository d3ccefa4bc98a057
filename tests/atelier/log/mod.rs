//! The log: a conformance suite of the event-store port, and what the PostgreSQL adapter promises beyond it (DESIGN 3).

mod append_only;
mod appends;
mod batches;
mod bounds;
mod conformance;
mod follower;
mod keys;
mod killed;
mod lossy_link;
mod mutants;
mod order;
mod processes;
mod racers;
mod stock;
mod test_log;
mod unknown;
