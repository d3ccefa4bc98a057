//! Which log this is: a database that comes back shorter, after a failover, a restore or an older volume, is another **branch** of
//! the log, and nothing that was said of the one before is taken for this one's (`migrations/0031_log_branches.sql`).
//!
//! A node knows the branch that it works on, and a ladder of the events that it has seen with their positions ([`KnownLog`]). Every
//! statement that reads the log, and every append, asks the database in the same breath whether it is on that branch and has the
//! newest of those events. If not, what was read is dropped, the node tells the database what it knows (`open_log_branch`), takes
//! over the branch that it is told, and whatever it had in memory of the other one is of an earlier era.

mod file;
mod known;
mod ladder;
mod place;

pub use known::{Answer, Expected, KnownLog, OPEN, Question};
pub use place::{Branch, Position};
