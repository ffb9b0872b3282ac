//! The order in which images are learnt from.

use rand::seq::SliceRandom;

use crate::field::{FieldError, at_least_one, require};
use crate::stream::EpochSeed;

/// The images of an epoch in the order in which they are taken: every permutation is equally likely, and which one it is depends
/// only on `at` and the number of images.
pub fn epoch_order(images: usize, at: EpochSeed) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut at.stream(*b"shuffle\0", 0));
    order
}

/// How an epoch is cut into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    images: usize,
    batch_size: usize,
    drop_last: bool,
}

impl Batches {
    /// Batches of `batch_size` of `images` images; the last, smaller one is left out if `drop_last`, as PyTorch's `DataLoader` calls
    /// it.
    ///
    /// # Errors
    /// When the batch size is 0 or above the number of images.
    pub fn new(images: usize, batch_size: usize, drop_last: bool) -> Result<Self, FieldError> {
        at_least_one("batch_size", batch_size)?;

        let expected = format!("at most the number of images, {images}");
        require(batch_size <= images, "batch_size", batch_size, expected)?;
        Ok(Self { images, batch_size, drop_last })
    }

    /// Number of batches of an epoch, at least 1.
    pub fn per_epoch(&self) -> usize {
        if self.drop_last { self.images / self.batch_size } else { self.images.div_ceil(self.batch_size) }
    }

    /// The batches of an epoch in which the images come in that order.
    ///
    /// **Shapes**: `order` names as many images as there are.
    pub fn of<'a>(&self, order: &'a [usize]) -> impl ExactSizeIterator<Item = &'a [usize]> {
        order.chunks(self.batch_size).take(self.per_epoch())
    }
}
