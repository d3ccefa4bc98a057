//! The one test binary.

mod architecture;
mod event_forms;
