//! Replayable randomness for this crate's tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::RandomBytes;

/// Bytes that look random, differ at every call and are the same in every run.
pub(crate) struct Replayable(AtomicU64);

impl Replayable {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed << 32)))
    }
}

impl RandomBytes for Replayable {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let block = Sha256::digest(self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// A distinct account for each number.
pub(crate) fn account(number: u128) -> atelier_domain::AccountId {
    atelier_domain::AccountId(uuid::Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + number))
}
