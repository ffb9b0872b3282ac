//! CIFAR-10 in its binary form (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
//! <https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! A batch is a row of records: a label, then the red, the green and the blue plane of 32×32 pixels each, row by row.

use super::dataset::{Dataset, Split};
use super::error::DataError;

pub(super) const NAME: &str = "cifar-10";
/// Images in each of the author's batches.
pub(super) const BATCH_IMAGES: usize = 10_000;
const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
const CLASSES: usize = 10;

/// Reads CIFAR-10 from its binary batches, in the order given.
///
/// **Shapes**: images `[3, 32, 32]`, pixels 0..=255.
///
/// # Errors
/// When a batch is empty or not a whole number of records, or a label is not below 10.
pub fn read_cifar10<'a>(
    split: Split,
    batches: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Dataset, DataError> {
    let mut records = Records::default();
    for batch in batches {
        records.push(batch)?;
    }
    records.into_dataset(split)
}

/// Records collected batch by batch, so that only one batch is held twice.
#[derive(Default)]
pub(super) struct Records {
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Records {
    pub(super) fn push(&mut self, batch: &[u8]) -> Result<(), DataError> {
        let (records, rest) = batch.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            return Err(DataError::Records { found: batch.len(), record: RECORD });
        }
        self.images.reserve(records.len() * PIXELS);
        for [label, pixels @ ..] in records {
            self.labels.push(*label);
            self.images.extend_from_slice(pixels);
        }
        Ok(())
    }

    pub(super) fn into_dataset(self, split: Split) -> Result<Dataset, DataError> {
        Ok(Dataset::new(NAME, split, SHAPE, CLASSES, u8::MAX, self.images, self.labels)?)
    }
}
