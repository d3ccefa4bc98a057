//! A 256-bit key in memory: wiped when dropped, never printed.

use std::fmt;

use zeroize::Zeroizing;

use crate::RandomBytes;

/// Bytes in a key.
pub(crate) const KEY_BYTES: usize = 32;

/// A 256-bit secret key. Boxed, so that moving it leaves no copies of it behind on the stack.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Box<Zeroizing<[u8; KEY_BYTES]>>);

impl SecretKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(random: &dyn RandomBytes) -> Self {
        let mut key = Self(Box::default());
        random.fill(key.0.as_mut_slice());
        key
    }

    /// The key held in exactly 32 bytes; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let mut key = Self(Box::default());
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}
