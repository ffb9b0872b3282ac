//! One chip: what is drawn once for every layer that lies on it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

use super::crossbar::Crossbar;
use super::sandwich_ram::SandwichRam;
use crate::network::NodeId;

/// One draw of [`Hardware`](super::Hardware): a chip, named by its seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chip {
    /// What it was drawn from.
    pub seed: u64,
    /// The layers on it, in the order of the network.
    pub layers: Vec<ChipLayer>,
}

/// A layer's components on a chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChipLayer {
    /// The layer's name.
    pub layer: String,
    /// Its components.
    pub array: Array,
}

/// The components of a device that one layer uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Array {
    /// An array that adds up by the widths of pulses.
    SandwichRam(SandwichRam),
    /// A resistive crossbar of differential pairs.
    Crossbar(Crossbar),
}

/// Where the noise of an inference comes from: a seed that says which inference of an image it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise(pub u64);

/// The random stream of a kind of noise.
pub type NoiseStream = ChaCha12Rng;

impl Noise {
    /// The noise of a layer's operations for one image.
    pub fn stream(self, layer: NodeId, image: u64) -> NoiseStream {
        stream(*b"noise\0\0\0", self.0, layer.0 as u64, image)
    }

    /// The noise of a campaign's trial.
    pub fn of_trial(campaign_seed: u64, trial: u64) -> Self {
        Self(stream(*b"trials\0\0", campaign_seed, 0, trial).next_u64())
    }
}

impl Chip {
    /// The seed of the chip on which a campaign's draw runs under every condition: below 2⁶³, so that a recipe can name it.
    pub fn seed_of_draw(campaign_seed: u64, draw: u64) -> u64 {
        stream(*b"draws\0\0\0", campaign_seed, 0, draw).next_u64() >> 1
    }
}

/// The random stream from which a layer's components are drawn.
pub(super) fn chip_stream(seed: u64, layer: NodeId) -> ChaCha12Rng {
    stream(*b"chip\0\0\0\0", seed, layer.0 as u64, 0)
}

/// ChaCha with 12 rounds (Bernstein, 2008), stream `number`; the key is the seed, nothing, the name of the purpose and a word, each as
/// 8 little-endian bytes. No fault and nothing in training has the same key.
fn stream(name: [u8; 8], seed: u64, word: u64, number: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    let parts = [seed.to_le_bytes(), [0; 8], name, word.to_le_bytes()];
    for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part);
    }
    let mut rng = ChaCha12Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
