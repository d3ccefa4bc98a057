//! Adapters to the outside world: mail, media, generators.

mod studio_demo;

pub use studio_demo::{MAX_SIDE, MIN_SIDE, StudioDemo};
