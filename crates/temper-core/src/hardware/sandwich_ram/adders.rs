//! A layer's weights on an array, and the sums that it makes of features.

use rand::Rng;
use temper_kernels::{Cells, Features, Isa, PackedWeights, PulseRows, RowEnds, WidthRounding, Windows};

use super::array::SandwichRam;
use super::{Mapping, Rounding};
use crate::hardware::noise::StandardNormals;

/// An array with a layer's weights in it.
#[derive(Debug, Clone)]
pub struct Adders {
    array: SandwichRam,
    rows: PulseRows,
}

/// Buffers of [`Adders::run`], kept from one batch to the next.
#[derive(Debug, Clone, Default)]
pub struct AdderBuffers {
    normals: StandardNormals,
}

impl Adders {
    /// Puts weights into an array; of each its sign counts, zero as plus.
    ///
    /// **Shapes**: `weights` `[outputs, inputs]` of the array's layer.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn new(array: SandwichRam, weights: &[f32]) -> Self {
        let (spec, [outputs, inputs]) = (&array.spec, [array.outputs, array.inputs]);
        assert_eq!(weights.len(), outputs * inputs, "weights must be [outputs, inputs]");
        let pack = |values: &[f32]| PackedWeights::new(Isa::detect(), values, 1, outputs, inputs);
        let sign = |weight: &f32| if *weight < 0.0 { -1.0 } else { 1.0 };
        let (weights, cells) = match spec.mapping {
            Mapping::TimeMultiplexed => {
                let signs: Vec<f32> = weights.iter().map(sign).collect();
                (pack(&signs), Cells::Shared(array.factors(0).collect()))
            }
            Mapping::Unrolled => {
                let factors: Vec<f32> = (0..outputs).flat_map(|output| array.factors(output)).collect();
                let signed: Vec<f32> =
                    weights.iter().zip(&factors).map(|(weight, m)| sign(weight) * m).collect();
                let squares: Vec<f32> = factors.iter().map(|m| m * m).collect();
                (pack(&signed), Cells::Own(pack(&squares)))
            }
        };
        let ends: Vec<RowEnds> = (0..spec.rows_of(inputs))
            .flat_map(|part| (0..outputs).map(move |output| (output, part)))
            .map(|(output, part)| array.ends(array.row(output, part)))
            .collect();
        let noise = [spec.noise.mean as f32, spec.noise.sigma as f32];
        let rows = PulseRows::new(weights, cells, spec.cells, &ends, spec.rounding.into(), noise);
        Self { array, rows }
    }

    /// The sums of the rows for every output, in steps of the feature, and in how many of its readings a pulse had vanished. `streams` are
    /// the random streams of noise, one for each image; none for operations without noise.
    ///
    /// The noise of a row's cells is drawn in one: with independent normal `n_j` of mean μ and deviation σ, `Σ a_j n_j` is normal with mean
    /// `μ Σ a_j` and deviation `σ √Σ a_j²`.
    ///
    /// **Shapes**: `features` images as [placed](Windows::place) by `windows`, whole numbers from 0 to 255, which are rounded down to the array's
    /// steps; `sums` `[images, outputs, positions]`.
    ///
    /// # Panics
    /// When the slices do not have these shapes, or there are other than as many streams.
    pub fn run<R: Rng>(
        &self,
        windows: &Windows,
        features: &mut [f32],
        sums: &mut [f32],
        streams: &mut [R],
        buffers: &mut AdderBuffers,
    ) -> u64 {
        let images = features.len() / windows.placed_len();
        assert!(streams.is_empty() || streams.len() == images, "streams must be one for each image");
        let step = self.array.spec.feature_step as f32;
        if step > 1.0 {
            for feature in features.iter_mut() {
                *feature = WidthRounding::Floor.apply(*feature / step) * step;
            }
        }
        let normals = (!streams.is_empty() && self.array.spec.noise.sigma > 0.0).then(|| {
            buffers.normals.draw(streams, self.rows.rows() * sums.len() / streams.len());
            &buffers.normals.values[..]
        });
        self.rows.run(Features { windows, placed: features, normals }, sums)
    }

    /// Outputs of the array's layer.
    pub(in crate::hardware) fn outputs(&self) -> usize {
        self.array.outputs
    }

    /// By how much the sum of an output changes with one step of the signed feature of each cell, without noise: *M* / *Q*. Where
    /// rounding and vanished pulses are left aside, this is what gradients go through.
    ///
    /// **Shapes**: `[outputs, inputs]`.
    pub fn factors(&self) -> Vec<f32> {
        let array = &self.array;
        let mean = array.spec.noise.mean as f32;
        let of_output = |output: usize| {
            let quantisers = (0..array.inputs).map(move |input| {
                let row = array.row(output, input / array.spec.cells);
                array.quantiser[row]
            });
            array.factors(output).zip(quantisers).map(move |(m, q)| m * mean / q)
        };
        (0..array.outputs).flat_map(of_output).collect()
    }
}

impl From<Rounding> for WidthRounding {
    fn from(rounding: Rounding) -> Self {
        match rounding {
            Rounding::Floor => Self::Floor,
            Rounding::Nearest => Self::Nearest,
            Rounding::None => Self::None,
        }
    }
}
