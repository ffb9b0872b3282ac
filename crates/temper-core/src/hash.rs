//! Short names of contents.

use sha2::{Digest, Sha256};

/// A hash of several parts: SHA-256, of which the first 16 hexadecimal digits are kept. Each part is preceded by its length, so that no two
/// lists of parts look alike.
#[derive(Debug, Clone, Default)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// The hash of some parts.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut hash = Self::default();
        for part in parts {
            hash.add(part);
        }
        hash.finish()
    }

    /// Adds a part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds bytes of a length that earlier parts tell.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// 16 hexadecimal digits.
    pub fn finish(self) -> String {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize()[..8]);
        format!("{:016x}", u64::from_be_bytes(first))
    }
}
