//! What tests stand on: a private PostgreSQL with a database for each test, and a studio over it.

pub mod faults;
pub mod log;
pub mod postgres;
pub mod process;
pub mod studio;
pub mod visitor;

pub use postgres::TestDatabase;
pub use studio::TestStudio;
