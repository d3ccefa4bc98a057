//! What tests stand on: a private PostgreSQL with a database for each test, and a studio over it.

mod addresses;
mod answer;
pub mod cluster;
pub mod faults;
mod home_postgres;
pub mod line;
pub mod log;
pub mod peers;
pub mod postgres;
pub mod process;
mod replaced;
pub mod sentences;
pub mod socket;
pub mod studio;
pub mod visitor;
mod waiting;

pub use postgres::TestDatabase;
pub use studio::TestStudio;

/// A client of our own servers, which speak plain HTTP on loopback; the TLS it never uses must be chosen all the same.
pub fn http_client() -> reqwest::Client {
    // Again is refused, and what is there is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
