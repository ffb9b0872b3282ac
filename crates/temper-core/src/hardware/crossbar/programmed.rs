//! A layer's weights in a crossbar, and the products that it makes with vectors of inputs.

use rand::Rng;
use temper_kernels::{Epilogue, Isa, PackedWeights, Scratch, Windows, linear, round_ties_even};

use super::array::{Crossbar, PAIR};
use super::{ReadNoiseModel, WeightScaling};
use crate::hardware::noise::StandardNormals;

/// A crossbar with a layer's weights in it.
#[derive(Debug, Clone)]
pub struct ProgrammedCrossbar {
    crossbar: Crossbar,
    /// *m* of each output, `[outputs]`.
    scales: Vec<f32>,
    arrays: Vec<Array>,
}

/// The inputs that one array takes, and its weights.
#[derive(Debug, Clone)]
struct Array {
    /// The first input.
    first: usize,
    /// Inputs of this array.
    count: usize,
    /// `(G⁺ − G⁻) · m / (G_max − G_min)`, `[outputs, inputs of this array]`.
    weights: PackedWeights,
    energies: Energies,
}

/// By what the squares of the inputs are multiplied to get the variance of a sum's noise.
#[derive(Debug, Clone)]
enum Energies {
    /// There is no noise.
    None,
    /// One number for each output, `[outputs]`.
    OfOutputs(Vec<f32>),
    /// One for each pair, `[outputs, inputs of this array]`.
    OfPairs(PackedWeights),
}

/// Buffers of [`ProgrammedCrossbar::run`], kept from one batch to the next.
#[derive(Debug, Clone, Default)]
pub struct CrossbarBuffers {
    /// Inputs of one array as they leave their converters, `[positions, inputs of the array]`.
    inputs: Vec<f32>,
    /// *α* of each position.
    ranges: Vec<f32>,
    /// `[positions, outputs]`.
    sums: Vec<f32>,
    /// The variances of the sums, `[positions, outputs]`, or of each position for [`Energies::OfOutputs`].
    variances: Vec<f32>,
    normals: StandardNormals,
    scratch: Scratch,
}

impl ProgrammedCrossbar {
    /// Programs weights into a crossbar. Where a weight is NaN or infinite, its output is not finite, nor is any that is scaled by an
    /// infinite one; NaN is lost only where both devices of a pair are stuck. Outputs whose scale is 0, all weights being 0, are 0.
    ///
    /// **Shapes**: `weights` `[outputs, inputs]` of the crossbar's layer.
    ///
    /// # Panics
    /// When there are more or fewer, or the crossbar was read and not drawn and fails its [check](Crossbar::check).
    pub fn new(crossbar: Crossbar, weights: &[f32]) -> Self {
        let [outputs, inputs] = [crossbar.outputs, crossbar.inputs];
        assert_eq!(weights.len(), outputs * inputs, "weights must be [outputs, inputs]");
        let scales = match crossbar.spec.scaling {
            WeightScaling::Layer => vec![largest(weights); outputs],
            WeightScaling::Output => weights.chunks_exact(inputs).map(largest).collect(),
        };
        let conductances = crossbar.program(weights, &scales);
        let arrays = inputs.div_ceil(crossbar.spec.rows);
        let bound = |array: usize| (array as u128 * inputs as u128 / arrays as u128) as usize;
        let array = |array| Array::new(&crossbar, &conductances, &scales, bound(array)..bound(array + 1));
        let arrays = (0..arrays).map(array).collect();
        Self { crossbar, scales, arrays }
    }

    /// The crossbar, to be programmed anew.
    pub fn into_crossbar(self) -> Crossbar {
        self.crossbar
    }

    /// The weights that inputs are multiplied with, `[outputs, inputs]`, in the units of the weights that were programmed: what they
    /// became on this chip, without noise and converters.
    pub fn effective_weights(&self) -> Vec<f32> {
        let [outputs, inputs] = [self.crossbar.outputs, self.crossbar.inputs];
        let mut weights = vec![0.0; outputs * inputs];
        for array in &self.arrays {
            for (output, weights) in weights.chunks_exact_mut(inputs).enumerate() {
                for (input, weight) in weights[array.first..][..array.count].iter_mut().enumerate() {
                    *weight = array.weights.get(output * array.count + input);
                }
            }
        }
        weights
    }

    /// Multiplies vectors of inputs with the weights; how many sums were beyond their converter's largest code.
    ///
    /// `streams` are the random streams of the noise, one for each image; none for products without noise. What an image's outputs are depends on
    /// its own stream and inputs alone.
    ///
    /// The noise of a column's devices is drawn in one: with independent normal deviations `σ_j` of their currents at the input 1, the sum's
    /// is `√Σ_j x_j² (σ_j⁺² + σ_j⁻²)`.
    ///
    /// **Shapes**: `inputs` images as [placed](Windows::place) by `windows`, `outputs` `[images, outputs, positions]`, in the units of the weights
    /// times those of the inputs.
    ///
    /// # Panics
    /// When the slices do not have these shapes, or there are other than as many streams.
    pub fn run<R: Rng>(
        &self,
        windows: &Windows,
        inputs: &[f32],
        outputs: &mut [f32],
        streams: &mut [R],
        buffers: &mut CrossbarBuffers,
    ) -> u64 {
        let images = inputs.len() / windows.placed_len();
        assert_eq!(windows.inputs(), self.crossbar.inputs, "windows must have as many inputs");
        assert_eq!(inputs.len(), images * windows.placed_len(), "inputs must be [images, placed_len]");
        let sums = images * windows.positions() * self.outputs();
        assert_eq!(outputs.len(), sums, "outputs must be [images, outputs, positions]");
        assert!(streams.is_empty() || streams.len() == images, "streams must be one for each image");
        buffers.sums.resize(outputs.len(), 0.0);
        outputs.fill(0.0);
        let mut saturated = 0;
        for array in &self.arrays {
            self.convert_inputs(array, windows, inputs, buffers);
            let CrossbarBuffers { inputs, sums, scratch, .. } = buffers;
            linear(inputs, &array.weights, &Epilogue::default(), sums, scratch);
            array.add_noise(streams, buffers);
            saturated += self.convert_sums(buffers, windows.positions(), outputs);
        }
        saturated
    }

    /// Outputs of the crossbar's layer.
    pub(in crate::hardware) fn outputs(&self) -> usize {
        self.crossbar.outputs
    }

    /// The inputs of an array as its converters pass them on, in units of their codes, or as they are with ideal ones.
    fn convert_inputs(
        &self,
        array: &Array,
        windows: &Windows,
        images: &[f32],
        buffers: &mut CrossbarBuffers,
    ) {
        let codes = self.crossbar.spec.dac_bits.map(largest_code);
        let given = self.crossbar.spec.input_range.map(|range| range as f32);
        let CrossbarBuffers { inputs, ranges, .. } = buffers;
        inputs.clear();
        ranges.clear();
        for image in images.chunks_exact(windows.placed_len()) {
            for position in 0..windows.positions() {
                let first = inputs.len();
                inputs.extend(windows.at(image, position, array.first..array.first + array.count));
                let own = &mut inputs[first..];
                let range = given.unwrap_or_else(|| largest(own));
                // Zeros have no range, and need none.
                let range = if range == 0.0 { 1.0 } else { range };
                ranges.push(range);
                if let Some(codes) = codes {
                    for input in own {
                        *input = code(*input, range, codes).clamp(-codes, codes);
                    }
                }
            }
        }
    }

    /// Adds the sums of an array, as their converters read them, to the outputs; how many were beyond the largest code.
    fn convert_sums(&self, buffers: &CrossbarBuffers, positions: usize, outputs: &mut [f32]) -> u64 {
        let spec = &self.crossbar.spec;
        let [input_codes, codes] = [spec.dac_bits, spec.adc_bits].map(|bits| bits.map(largest_code));
        let bound = spec.adc_range as f32;
        let width = self.crossbar.outputs;
        let mut saturated = 0;
        let of_positions = buffers.sums.chunks_exact(width).zip(&buffers.ranges);
        for (number, (sums, input_range)) in of_positions.enumerate() {
            let unit = input_codes.map_or(1.0, |codes| input_range / codes);
            let outputs = &mut outputs[number / positions * width * positions..][number % positions..];
            for ((output, sum), scale) in outputs.iter_mut().step_by(positions).zip(sums).zip(&self.scales) {
                let sum = sum * unit;
                match codes {
                    // A scale of 0 leaves nothing to read.
                    Some(codes) if *scale > 0.0 => {
                        let range = bound * scale * input_range;
                        let code = code(sum, range, codes);
                        saturated += u64::from(code.abs() > codes);
                        *output += code.clamp(-codes, codes) / codes * range;
                    }
                    _ => *output += sum,
                }
            }
        }
        saturated
    }
}

impl Array {
    fn new(
        crossbar: &Crossbar,
        conductances: &[f64],
        scales: &[f32],
        inputs: std::ops::Range<usize>,
    ) -> Self {
        let (spec, outputs, count) = (&crossbar.spec, crossbar.outputs, inputs.len());
        let pack = |of_pair: &dyn Fn(&[f64], f64) -> f64| {
            let column = |output: usize| {
                let devices = &conductances[output * crossbar.inputs * PAIR..];
                let pairs = devices[inputs.start * PAIR..inputs.end * PAIR].chunks_exact(PAIR);
                pairs.map(move |pair| of_pair(pair, f64::from(scales[output])) as f32)
            };
            let values: Vec<f32> = (0..outputs).flat_map(column).collect();
            PackedWeights::new(Isa::detect(), &values, 1, outputs, count)
        };
        let sigma = spec.read_noise.sigma;
        let energies = match spec.read_noise.model {
            _ if sigma == 0.0 => Energies::None,
            ReadNoiseModel::Absolute => {
                let of_pair = 2.0 * (sigma * spec.g_max / (spec.g_max - spec.g_min)).powi(2);
                let of_output = |scale: &f32| (of_pair * f64::from(*scale).powi(2)) as f32;
                Energies::OfOutputs(scales.iter().map(of_output).collect())
            }
            ReadNoiseModel::Relative => Energies::OfPairs(pack(&|pair, scale| {
                (sigma * scale).powi(2) * (pair[0].powi(2) + pair[1].powi(2))
            })),
        };
        let weights = pack(&|pair, scale| (pair[0] - pair[1]) * scale);
        Self { first: inputs.start, count, weights, energies }
    }

    /// Adds noise to the sums; the inputs are their squares afterwards.
    fn add_noise<R: Rng>(&self, streams: &mut [R], buffers: &mut CrossbarBuffers) {
        let CrossbarBuffers { inputs, ranges, sums, variances, normals, scratch } = buffers;
        if streams.is_empty() || ranges.is_empty() || matches!(self.energies, Energies::None) {
            return;
        }
        for input in inputs.iter_mut() {
            *input *= *input;
        }
        variances.clear();
        match &self.energies {
            Energies::None => {}
            Energies::OfOutputs(energies) => {
                for inputs in inputs.chunks_exact(self.count) {
                    let square: f32 = inputs.iter().sum();
                    variances.extend(energies.iter().map(|energy| square * energy));
                }
            }
            Energies::OfPairs(energies) => {
                variances.resize(sums.len(), 0.0);
                linear(inputs, energies, &Epilogue::default(), variances, scratch);
            }
        }
        normals.draw(streams, sums.len() / streams.len());
        for ((sum, variance), normal) in sums.iter_mut().zip(variances).zip(&normals.values) {
            *sum += variance.sqrt() * normal;
        }
    }
}

/// The largest magnitude; NaN counts for nothing.
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()))
}

/// The largest code of a converter with a sign.
fn largest_code(bits: u32) -> f32 {
    ((1u32 << (bits - 1)) - 1) as f32
}

/// The code of a value where `range` is the code `codes`, without bounds; NaN of NaN.
fn code(value: f32, range: f32, codes: f32) -> f32 {
    round_ties_even(value / range * codes)
}
