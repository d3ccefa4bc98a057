//! The database comes back shorter under running nodes (a standby without the last commits becomes the leader, a backup is put in its
//! place), or as long as it was. What is answered afterwards is about the log that is there: nothing of it is forgotten, what is gone is said
//! to be gone, and nothing happens twice.

mod doctor;
mod lost;
mod promoted;
mod restored;
mod stage;
mod standby;
mod told;
