//! A database that comes back shorter under running nodes: every answer is about the log that is there, what was acknowledged and is
//! gone is said to be gone, and nothing is charged or delivered twice (issue 12).

mod append;
mod fence;
mod nodes;
mod sql;
mod stage;
