//! Where the vault's randomness comes from: keys, nonces, salts and secrets all ask here, so that any test can replay.

/// A source of unpredictable bytes; the composition root hangs the operating system's behind it.
pub trait RandomBytes: Send + Sync + 'static {
    /// Fills the whole buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}
