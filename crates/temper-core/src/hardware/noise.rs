//! Normal noise.

use rand::Rng;
use temper_kernels::{Isa, standard_normal};

/// Buffers of [`StandardNormals::draw`].
#[derive(Debug, Clone, Default)]
pub(super) struct StandardNormals {
    words: Vec<u32>,
    /// Those drawn last.
    pub(super) values: Vec<f32>,
}

impl StandardNormals {
    /// Draws as many numbers from each stream, those of one after those of another.
    pub(super) fn draw<R: Rng>(&mut self, streams: &mut [R], of_each: usize) {
        self.words.clear();
        for stream in streams.iter_mut() {
            self.words.extend((0..of_each).map(|_| stream.next_u32()));
        }
        self.values.resize(self.words.len(), 0.0);
        standard_normal(Isa::detect(), &self.words, &mut self.values);
    }
}
