//! Scratch.
pub mod faults;
pub mod log;
pub mod postgres;
pub mod studio;
pub mod visitor;
pub use postgres::TestDatabase;
pub use studio::TestStudio;
