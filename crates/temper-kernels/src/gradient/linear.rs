//! Gradients of linear layers.

use std::ops::Range;

use super::accumulate::{chain_length, multiply};
use crate::isa::{Isa, Work};
use crate::panels::ColumnPanels;
use crate::simd::Simd;
use crate::tile::{Operands, channel_vectors};
use crate::{Scratch, aligned::Aligned};

/// Adds the gradient of the weights of some of a linear layer's outputs: `weight_gradient += output_gradientᵀ · input`. A value does
/// not depend on which other outputs are computed with it.
///
/// Each sum is divided into chains of at most 256 rows of about equal length, which are added up in order; this is the same for all
/// instruction sets. The gradient of the input is [`linear`](crate::linear()) with
/// [transposed weights](crate::PackedWeights::transposed), that of the bias [`channel_sums`](crate::channel_sums).
///
/// **Shapes**: `input` `[rows, in_features]`, `output_gradient` `[rows, out_features]`, `weight_gradient`
/// `[outputs, in_features]`.
///
/// # Panics
/// When the slices do not have these shapes, or the processor does not have the instructions.
pub fn linear_weight_gradient(
    isa: Isa,
    [in_features, out_features]: [usize; 2],
    outputs: Range<usize>,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    isa.check();
    let rows = input.len() / in_features;
    assert!(outputs.end <= out_features, "outputs must be among the layer's");
    assert_eq!(input.len(), rows * in_features, "input must be [rows, in_features]");
    assert_eq!(output_gradient.len(), rows * out_features, "output gradient must be [rows, out_features]");
    assert_eq!(weight_gradient.len(), outputs.len() * in_features, "weights are [outputs, in_features]");
    let Scratch { panels, taps, bases, .. } = scratch;
    let chain = chain_length(rows);
    taps.clear();
    taps.extend((0..chain.min(rows)).map(|row| row * out_features));
    bases.clear();
    bases.extend(outputs);
    let inputs = input.chunks(chain * in_features).zip(output_gradient.chunks((chain * out_features).max(1)));
    for (input, output_gradient) in inputs {
        let taps = &taps[..input.len() / in_features];
        isa.run(Chain { in_features, input, output_gradient, taps, bases, panels, weight_gradient });
    }
}

/// The part of the sums over a few rows.
struct Chain<'a> {
    in_features: usize,
    input: &'a [f32],
    output_gradient: &'a [f32],
    /// Where rows start in the output gradient.
    taps: &'a [usize],
    /// Where the outputs lie in a row.
    bases: &'a [usize],
    panels: &'a mut Aligned,
    weight_gradient: &'a mut [f32],
}

impl Work for Chain<'_> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads and stores take pointers")]
    fn run<S: Simd>(self) {
        let Self { in_features, input, output_gradient, taps, bases, panels, weight_gradient } = self;
        let (panel, count) = (taps.len() * S::LANES, in_features.div_ceil(S::LANES));
        let reach = taps.last().copied().unwrap_or(0);
        let mut first = 0;
        while first < count {
            let vectors = channel_vectors::<S>(count - first);
            // Laid out a few panels at a time, they stay in the first cache.
            panels.grow(vectors * panel);
            let from = &input[first * S::LANES..];
            let columns = (vectors * S::LANES).min(in_features - first * S::LANES);
            ColumnPanels { from, columns, distance: in_features, to: panels.values_mut() }.run::<S>();
            let operands = Operands { weights: panels.values(), input: output_gradient, taps, reach };
            multiply::<S>(operands, vectors, bases, |base, live, sums| {
                for (out, row) in (base..base + live).zip(0..) {
                    let gradients = &mut weight_gradient[out * in_features..][..in_features];
                    for (v, gradients) in
                        gradients[first * S::LANES..].chunks_mut(S::LANES).take(vectors).enumerate()
                    {
                        let (at, count) = (gradients.as_mut_ptr(), gradients.len());
                        // SAFETY: the chunk holds `count` values, at most a vector.
                        unsafe {
                            if count == S::LANES {
                                S::store(S::add(S::load(at), sums[v * 8 + row]), at);
                            } else {
                                S::store_first(
                                    S::add(S::load_first(at, count), sums[v * 8 + row]),
                                    at,
                                    count,
                                );
                            }
                        }
                    }
                }
            });
            first += vectors;
        }
    }
}
