//! Normal noise.

use rand::Rng;
use temper_kernels::{Isa, standard_normal};

/// Buffers of [`StandardNormals::draw`].
#[derive(Debug, Clone, Default)]
pub(super) struct StandardNormals {
    words: Vec<[u8; 4]>,
    /// Those drawn last.
    pub(super) values: Vec<f32>,
}

impl StandardNormals {
    /// Draws as many numbers from each stream, those of one after those of another.
    pub(super) fn draw<R: Rng>(&mut self, streams: &mut [R], of_each: usize) {
        self.words.resize(streams.len() * of_each, [0; 4]);
        if of_each > 0 {
            let runs = self.words.chunks_exact_mut(of_each);
            runs.zip(streams).for_each(|(words, stream)| stream.fill_bytes(words.as_flattened_mut()));
        }
        self.values.resize(self.words.len(), 0.0);
        standard_normal(Isa::detect(), &self.words, &mut self.values);
    }
}
