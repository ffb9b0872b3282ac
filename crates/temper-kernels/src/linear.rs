//! Linear layers.

use crate::Scratch;
use crate::columns::{Product, Run, Taps};
use crate::epilogue::Epilogue;
use crate::pack::PackedWeights;

/// Every column is an image (or another row of inputs), every tap a feature.
struct LinearTaps {
    features: usize,
}

impl Taps for LinearTaps {
    #[inline(always)]
    fn step(&self) -> usize {
        self.features
    }

    #[inline(always)]
    fn for_each(&self, _group: usize, each: impl FnMut(usize)) {
        (0..self.features).for_each(each);
    }

    #[inline(always)]
    fn runs(&self, first: usize, count: usize, runs: &mut Vec<Run>) {
        // One output lies `out_features` away from the next, so each column is a run of its own.
        runs.extend((0..count).map(|column| {
            let image = first + column;
            Run { column, length: 1, input: image * self.features, image, pixel: 0 }
        }));
    }
}

/// Multiplies rows of inputs with the weights of a linear layer.
///
/// **Shapes**: `input` `[rows, in_features]`, `weights` of `out_features` rows and `in_features` columns, `output`
/// `[rows, out_features]`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn linear(
    input: &[f32],
    weights: &PackedWeights,
    epilogue: &Epilogue<'_>,
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let features = weights.columns();
    let count = input.len() / features;
    assert_eq!(input.len(), count * features, "input must be [rows, in_features]");
    assert_eq!(output.len(), count * weights.rows(), "output must be [rows, out_features]");
    let Scratch { packed, runs, .. } = scratch;
    let taps = LinearTaps { features };
    Product { weights, input, taps, count, plane: 1, epilogue, output }.run(packed, runs);
}
