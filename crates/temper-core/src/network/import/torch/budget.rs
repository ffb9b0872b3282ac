//! A bound on what a file may make a reader do.

use super::error::TorchError;

/// How far a file may expand: compressed entries, half-precision floats and tied weights make tensors larger than the file.
const EXPANSION: usize = 16;
/// The same for the pickle alone, each byte of which may cost some tens of bytes.
const PICKLE_EXPANSION: usize = 4;
/// What any file may use, however small it is.
const ALLOWANCE: usize = 1 << 20;

/// Bytes (or steps) that may still be used for a file.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    file_size: usize,
}

impl Budget {
    /// For bytes of tensors and names, or of decompressed storages.
    pub(super) fn for_data(file_size: usize) -> Self {
        Self { left: file_size.saturating_mul(EXPANSION).saturating_add(ALLOWANCE), file_size }
    }

    /// For bytes of a pickle, or steps through its values.
    pub(super) fn for_pickle(file_size: usize) -> Self {
        Self { left: file_size.saturating_mul(PICKLE_EXPANSION).saturating_add(ALLOWANCE), file_size }
    }

    /// What is left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Uses some of it.
    pub(super) fn spend(&mut self, amount: usize) -> Result<(), TorchError> {
        self.left = self.left.checked_sub(amount).ok_or(TorchError::TooLarge { found: self.file_size })?;
        Ok(())
    }
}
