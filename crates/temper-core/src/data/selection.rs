//! Random subsets of a data set.

use rand::{Rng, SeedableRng, seq};
use rand_chacha::ChaCha12Rng;

use super::dataset::{Dataset, DatasetError};

/// Tells the stream of a selection from all other streams of the same seed; a trial's has zeros in this place.
const STREAM_NAME: &[u8; 16] = b"select-images\0\0\0";

/// The random stream of a selection: a pure function of the seed, the same on every machine, and different from the stream of
/// every trial of every campaign.
///
/// ChaCha with 12 rounds (Bernstein, 2008), stream 0; the key is the seed as 8 little-endian bytes, the stream's name in 16
/// bytes, and zeros.
pub(super) fn selection_stream(seed: u64) -> impl Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..24].copy_from_slice(STREAM_NAME);
    ChaCha12Rng::from_seed(key)
}

impl Dataset {
    /// A random subset of `count` different images, in the order in which they stand here: every subset of this size is equally
    /// likely, and which one it is depends only on `seed`, `count` and the number of images.
    ///
    /// Drawn from a stream of ChaCha with 12 rounds that no trial of a campaign with the same seed shares.
    ///
    /// # Errors
    /// When `count` is zero or more than there are images.
    pub fn sample(&self, count: usize, seed: u64) -> Result<Self, DatasetError> {
        if count > self.len() {
            return Err(DatasetError::Sample { wanted: count, images: self.len() });
        }
        let mut indices = seq::index::sample(&mut selection_stream(seed), self.len(), count).into_vec();
        indices.sort_unstable();
        self.select(&indices)
    }
}
