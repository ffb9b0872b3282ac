//! A layer's weights in a crossbar, and the products that it makes with vectors of inputs.

use rand::Rng;
use temper_kernels::{Epilogue, Isa, PackedWeights, Scratch, linear};

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

/// Buffers of [`ProgrammedCrossbar::run`], kept from one array to the next.
#[derive(Debug, Default)]
struct Buffers {
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
    /// `streams` are the random streams of the noise, each of one of `streams.len()` equal runs of consecutive positions (such as those of one
    /// image); none for products without noise. What a run's outputs are depends on its own stream and inputs alone.
    ///
    /// The noise of a column's devices is drawn in one: with independent normal deviations `σ_j` of their currents at the input 1, the sum's
    /// is `√Σ_j x_j² (σ_j⁺² + σ_j⁻²)`.
    ///
    /// **Shapes**: `inputs` `[positions, inputs]`, `outputs` `[positions, outputs]`, in the units of the weights times those of the inputs.
    ///
    /// # Panics
    /// When the slices do not have these shapes, or the positions cannot be divided among the streams.
    pub fn run<R: Rng>(&self, inputs: &[f32], outputs: &mut [f32], streams: &mut [R]) -> u64 {
        let positions = inputs.len() / self.crossbar.inputs;
        assert_eq!(inputs.len(), positions * self.crossbar.inputs, "inputs must be [positions, inputs]");
        assert_eq!(outputs.len(), positions * self.crossbar.outputs, "outputs must be [positions, outputs]");
        let divisible = streams.is_empty() || positions.is_multiple_of(streams.len());
        assert!(divisible, "positions must be so many for each stream");
        let mut buffers = Buffers::default();
        buffers.sums.resize(outputs.len(), 0.0);
        outputs.fill(0.0);
        let mut saturated = 0;
        for array in &self.arrays {
            self.convert_inputs(array, inputs, &mut buffers);
            linear(
                &buffers.inputs,
                &array.weights,
                &Epilogue::default(),
                &mut buffers.sums,
                &mut buffers.scratch,
            );
            array.add_noise(streams, &mut buffers);
            saturated += self.convert_sums(&buffers, outputs);
        }
        saturated
    }

    /// The inputs of an array as its converters pass them on, in units of their codes, or as they are with ideal ones.
    fn convert_inputs(&self, array: &Array, inputs: &[f32], buffers: &mut Buffers) {
        let codes = self.crossbar.spec.dac_bits.map(largest_code);
        let given = self.crossbar.spec.input_range.map(|range| range as f32);
        buffers.inputs.clear();
        buffers.ranges.clear();
        for inputs in inputs.chunks_exact(self.crossbar.inputs) {
            let inputs = &inputs[array.first..][..array.count];
            let range = given.unwrap_or_else(|| largest(inputs));
            // Zeros have no range, and need none.
            let range = if range == 0.0 { 1.0 } else { range };
            buffers.ranges.push(range);
            match codes {
                None => buffers.inputs.extend(inputs),
                Some(codes) => {
                    let convert = |input: &f32| code(*input, range, codes).clamp(-codes, codes);
                    buffers.inputs.extend(inputs.iter().map(convert));
                }
            }
        }
    }

    /// Adds the sums of an array, as their converters read them, to the outputs; how many were beyond the largest code.
    fn convert_sums(&self, buffers: &Buffers, outputs: &mut [f32]) -> u64 {
        let spec = &self.crossbar.spec;
        let [input_codes, codes] = [spec.dac_bits, spec.adc_bits].map(|bits| bits.map(largest_code));
        let bound = spec.adc_range as f32;
        let width = self.crossbar.outputs;
        let mut saturated = 0;
        let positions = outputs.chunks_exact_mut(width).zip(buffers.sums.chunks_exact(width));
        for ((outputs, sums), input_range) in positions.zip(&buffers.ranges) {
            let unit = input_codes.map_or(1.0, |codes| input_range / codes);
            for ((output, sum), scale) in outputs.iter_mut().zip(sums).zip(&self.scales) {
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
    fn add_noise<R: Rng>(&self, streams: &mut [R], buffers: &mut Buffers) {
        let Buffers { inputs, ranges, sums, variances, normals, scratch } = buffers;
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
    (value / range * codes).round_ties_even()
}
