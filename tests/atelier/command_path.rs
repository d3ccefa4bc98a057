//! The command path on a real PostgreSQL: commands in order on pending state, answers only when they stand, nothing lost between nodes
//! (DESIGN 3, command path and snapshots).

mod checks;
mod dropped;
mod elsewhere;
mod keys;
mod model;
mod order;
mod outcomes;
mod races;
mod snapshots;
mod stage;
mod stock;
mod stores;
