//! What is not in a copy, and why: for its manifest. Bounded, and the rest counted.

use serde_json::{Value, json};

/// The most files that are named one by one.
const NAMED: usize = 10_000;

/// What is missing.
#[derive(Default)]
pub(super) struct Missing {
    named: Vec<Value>,
    more: u64,
}

impl Missing {
    /// Says that a file is missing, and why.
    pub(super) fn add(&mut self, name: &str, reason: &str) {
        if self.named.len() < NAMED {
            self.named.push(json!({ "name": name, "reason": reason }));
        } else {
            self.more += 1;
        }
    }

    /// For the manifest: those named, and how many more there are.
    pub(super) fn told(self) -> (Value, u64) {
        (self.named.into(), self.more)
    }
}
