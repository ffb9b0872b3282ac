//! Weights as the tiles read them.

use std::ops::Range;

use super::{LARGEST_WEIGHT, POINTS, transform};
use crate::aligned::Aligned;
use crate::isa::Isa;

/// The weights of a convolution of 3 × 3 as `G g Gᵀ`, and which channels cannot be computed with them.
#[derive(Debug, Clone)]
pub(crate) struct TransformedWeights {
    isa: Isa,
    rows: usize,
    inputs: usize,
    /// `[POINTS, panels, inputs, lanes]`, lanes being output channels.
    data: Aligned,
    /// For each output channel, how many of its weights are too large.
    large: Vec<u32>,
}

impl TransformedWeights {
    /// Room for `rows` output channels of `inputs` channels each.
    pub(crate) fn zeros(isa: Isa, rows: usize, inputs: usize) -> Self {
        let mut transformed = Self { isa, rows, inputs, data: Aligned::default(), large: vec![0; rows] };
        transformed.data.grow(POINTS * transformed.point());
        transformed
    }

    /// Values of one point.
    fn point(&self) -> usize {
        self.rows.next_multiple_of(self.isa.lanes()) * self.inputs
    }

    /// The instructions it was made for.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Output channels.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Input channels.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Sets the 3 × 3 weights between an input and an output channel.
    pub(crate) fn set(&mut self, row: usize, input: usize, weights: &[f32; 9]) {
        let (lanes, point) = (self.isa.lanes(), self.point());
        let first = (row / lanes * self.inputs + input) * lanes + row % lanes;
        let places = self.data.values_mut()[first..].iter_mut().step_by(point);
        for (place, value) in places.zip(transform::weights(weights)) {
            *place = value;
        }
    }

    /// Takes note that a weight of an output channel has become another.
    pub(crate) fn count(&mut self, row: usize, before: f32, after: f32) {
        self.large[row] = self.large[row] + u32::from(is_large(after)) - u32::from(is_large(before));
    }

    /// The runs of channels, of those given, that have too large weights.
    pub(super) fn large_channels(&self, channels: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let large = &self.large[channels.clone()];
        large
            .chunk_by(|a, b| (*a > 0) == (*b > 0))
            .scan(channels.start, |start, run| {
                let channels = *start..*start + run.len();
                *start = channels.end;
                Some((run[0] > 0).then_some(channels))
            })
            .flatten()
    }

    /// The panels of one point from panel `first` on, each `[inputs, lanes]`.
    pub(super) fn panels(&self, point: usize, first: usize) -> &[f32] {
        let size = self.point();
        &self.data.values()[point * size..][..size][first * self.inputs * self.isa.lanes()..]
    }
}

/// Whether a weight is too large, or not a number.
fn is_large(weight: f32) -> bool {
    weight.is_nan() || weight.abs() > LARGEST_WEIGHT
}
