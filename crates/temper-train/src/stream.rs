//! The random streams of training: each a pure function of what it is drawn for, the same on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// What is drawn anew in every epoch is drawn for this: nothing else changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochSeed {
    /// The recipe's seed.
    pub seed: u64,
    /// The phase, counted from 0.
    pub phase: usize,
    /// The epoch of the phase, counted from 0.
    pub epoch: usize,
}

impl EpochSeed {
    /// Stream number `number` of this epoch, for the purpose called `name`.
    pub(crate) fn stream(self, name: [u8; 8], number: usize) -> ChaCha12Rng {
        stream(name, self.seed, [self.phase as u64, self.epoch as u64], number as u64)
    }
}

/// ChaCha with 12 rounds (Bernstein, 2008), stream `number`; the key is the seed, the name of the purpose and two words of it, each
/// as 8 little-endian bytes. No purpose of a campaign has the same key.
pub(crate) fn stream(name: [u8; 8], seed: u64, words: [u64; 2], number: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    let parts = [seed.to_le_bytes(), name, words[0].to_le_bytes(), words[1].to_le_bytes()];
    for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part);
    }
    let mut rng = ChaCha12Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
