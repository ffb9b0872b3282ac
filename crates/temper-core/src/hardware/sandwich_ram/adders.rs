//! A layer's weights on an array, and the sums that it makes of features.

use rand::Rng;
use temper_kernels::{Epilogue, Isa, PackedWeights, Scratch, linear};

use super::array::SandwichRam;
use super::{Mapping, Rounding, RowOffset};
use crate::hardware::noise::StandardNormals;
use crate::hardware::rounding;

/// An array with a layer's weights in it.
#[derive(Debug, Clone)]
pub struct Adders {
    array: SandwichRam,
    parts: Vec<Part>,
}

/// What so many inputs as a row has cells add to every output.
#[derive(Debug, Clone)]
struct Part {
    /// The first input.
    first: usize,
    /// Inputs of this part.
    count: usize,
    /// The signs, or where every weight has a cell of its own its *M* with its sign, `[outputs, inputs of this part]`.
    weights: PackedWeights,
    /// *M* of the cells that serve all outputs; empty where every weight has a cell of its own.
    shared: Vec<f32>,
    /// *M*² where every weight has a cell of its own, `[outputs, inputs of this part]`.
    squares: Option<PackedWeights>,
    rows: Vec<Row>,
}

/// What a row's ends make of a pulse.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// `Pre · G`.
    start: f32,
    /// *Q*.
    quantiser: f32,
    /// What is subtracted digitally: *Pre*, or what was read without features.
    zero: f32,
}

/// Buffers of [`Adders::run`], kept from one batch to the next.
#[derive(Debug, Clone, Default)]
pub struct AdderBuffers {
    features: Vec<f32>,
    changes: Vec<f32>,
    energies: Vec<f32>,
    normals: StandardNormals,
    scratch: Scratch,
}

impl Adders {
    /// Puts weights into an array; of each its sign counts, zero as plus.
    ///
    /// **Shapes**: `weights` `[outputs, inputs]` of the array's layer.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn new(array: SandwichRam, weights: &[f32]) -> Self {
        let [outputs, inputs] = [array.outputs, array.inputs];
        assert_eq!(weights.len(), outputs * inputs, "weights must be [outputs, inputs]");
        let parts = (0..array.spec.rows_of(inputs)).map(|part| Part::new(&array, weights, part)).collect();
        Self { array, parts }
    }

    /// The sums of the rows for every output, in steps of the feature, and in how many of its readings a pulse had vanished. `streams` are
    /// the random streams of noise, one for each of as many equal runs of positions (those of one image); none for operations
    /// without noise.
    ///
    /// The noise of a row's cells is drawn in one: with independent normal `n_j` of mean μ and deviation σ, `Σ a_j n_j` is normal with mean
    /// `μ Σ a_j` and deviation `σ √Σ a_j²`.
    ///
    /// **Shapes**: `features` `[positions, inputs]`, whole numbers from 0 to 255; `sums` `[positions, outputs]`.
    ///
    /// # Panics
    /// When the slices do not have these shapes, or the streams do not divide the positions.
    pub fn run<R: Rng>(
        &self,
        features: &[f32],
        sums: &mut [f32],
        streams: &mut [R],
        buffers: &mut AdderBuffers,
    ) -> u64 {
        let [outputs, inputs] = [self.array.outputs, self.array.inputs];
        let positions = features.len() / inputs;
        assert_eq!(features.len(), positions * inputs, "features must be [positions, inputs]");
        assert_eq!(sums.len(), positions * outputs, "sums must be [positions, outputs]");
        assert!(positions.is_multiple_of(streams.len().max(1)), "every stream must have as many positions");
        if positions == 0 {
            return 0;
        }
        let streams = if self.array.spec.noise.sigma > 0.0 { streams } else { &mut [] };
        if !streams.is_empty() {
            let of_each = self.parts.len() * sums.len() / streams.len();
            buffers.normals.draw(streams, of_each);
        }
        sums.fill(0.0);
        let add = |number| self.add(number, features, sums, streams.len(), buffers);
        (0..self.parts.len()).map(add).sum()
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
            (0..array.inputs).map(move |input| {
                let row = array.row(output, input / array.spec.cells);
                array.cells(row)[input % array.spec.cells] * mean / array.quantiser[row]
            })
        };
        (0..array.outputs).flat_map(of_output).collect()
    }

    /// Adds what one part reads; how many pulses had vanished. The positions are equal runs of so many streams.
    fn add(
        &self,
        number: usize,
        features: &[f32],
        sums: &mut [f32],
        streams: usize,
        buffers: &mut AdderBuffers,
    ) -> u64 {
        let (spec, outputs, part) = (&self.array.spec, self.array.outputs, &self.parts[number]);
        let positions = sums.len() / outputs;
        part.gather(features, self.array.inputs, spec.feature_step as f32, &mut buffers.features);
        let AdderBuffers { features, changes, energies, normals, scratch } = buffers;
        changes.resize(positions * outputs, 0.0);
        linear(features, &part.weights, &Epilogue::default(), changes, scratch);
        if spec.noise.mean != 1.0 {
            let mean = spec.noise.mean as f32;
            for change in changes.iter_mut() {
                *change *= mean;
            }
        }
        if let Some(run) = changes.len().checked_div(streams) {
            part.energies(features, positions, energies, scratch);
            let energies_of_run = energies.len() / streams;
            let of_streams = normals.values.chunks_exact(normals.values.len() / streams);
            let runs = changes.chunks_exact_mut(run).zip(energies.chunks_exact(energies_of_run));
            for ((changes, energies), normals) in runs.zip(of_streams) {
                disturb(changes, energies, spec.noise.sigma as f32, &normals[number * run..][..run]);
            }
        }
        match spec.rounding {
            Rounding::Floor => part.read(changes, sums, outputs, rounding::floor),
            Rounding::Nearest => part.read(changes, sums, outputs, rounding::nearest),
            Rounding::None => part.read(changes, sums, outputs, |width| width),
        }
    }
}

/// Adds noise to what cells add: `energies` are the sums of the squares of its parts, of every value or of equally many neighbours
/// together.
fn disturb(changes: &mut [f32], energies: &[f32], sigma: f32, normals: &[f32]) {
    let shared = changes.len() / energies.len();
    let neighbours = changes.chunks_exact_mut(shared).zip(normals.chunks_exact(shared));
    for ((changes, normals), energy) in neighbours.zip(energies) {
        let deviation = sigma * energy.sqrt();
        for (change, normal) in changes.iter_mut().zip(normals) {
            *change += deviation * normal;
        }
    }
}

impl Part {
    fn new(array: &SandwichRam, weights: &[f32], part: usize) -> Self {
        let spec = &array.spec;
        let first = part * spec.cells;
        let count = spec.cells.min(array.inputs - first);
        let sign = |weight: &f32| if *weight < 0.0 { -1.0 } else { 1.0 };
        let of_output = |output: usize| weights[output * array.inputs + first..][..count].iter().map(sign);
        let pack = |values: &[f32]| PackedWeights::new(Isa::detect(), values, 1, array.outputs, count);
        let signs: Vec<f32> = (0..array.outputs).flat_map(of_output).collect();
        let row = |output: usize| array.row(output, part);
        let (weights, shared, squares, rows) = match spec.mapping {
            Mapping::TimeMultiplexed => {
                (pack(&signs), array.cells(row(0))[..count].to_vec(), None, vec![Row::new(array, row(0))])
            }
            Mapping::Unrolled => {
                let cells: Vec<f32> = (0..array.outputs)
                    .flat_map(|output| &array.cells(row(output))[..count])
                    .copied()
                    .collect();
                let products: Vec<f32> = signs.iter().zip(&cells).map(|(sign, cell)| sign * cell).collect();
                let squares: Vec<f32> = cells.iter().map(|cell| cell * cell).collect();
                let rows = (0..array.outputs).map(|output| Row::new(array, row(output))).collect();
                (pack(&products), Vec::new(), Some(pack(&squares)), rows)
            }
        };
        Self { first, count, weights, shared, squares, rows }
    }

    /// Adds what the rows read of pulses that the cells made longer by `changes`; how many had vanished.
    ///
    /// **Shapes**: `changes` and `sums` `[positions, outputs]`.
    fn read(
        &self,
        changes: &[f32],
        sums: &mut [f32],
        outputs: usize,
        round: impl Fn(f32) -> f32 + Copy,
    ) -> u64 {
        let mut vanished = 0;
        let mut add = |sum: &mut f32, change: f32, row: &Row| {
            vanished += u32::from(row.start + change < 0.0);
            *sum += row.read(change, round);
        };
        if let [row] = self.rows[..] {
            sums.iter_mut().zip(changes).for_each(|(sum, change)| add(sum, *change, &row));
        } else {
            for (sums, changes) in sums.chunks_exact_mut(outputs).zip(changes.chunks_exact(outputs)) {
                let of_outputs = sums.iter_mut().zip(changes).zip(&self.rows);
                of_outputs.for_each(|((sum, change), row)| add(sum, *change, row));
            }
        }
        vanished.into()
    }

    /// The features of this part as they reach the weights, `[positions, inputs of this part]`.
    fn gather(&self, features: &[f32], inputs: usize, step: f32, gathered: &mut Vec<f32>) {
        gathered.clear();
        let own = features.chunks_exact(inputs).map(|features| &features[self.first..][..self.count]);
        own.for_each(|own| gathered.extend_from_slice(own));
        if step > 1.0 {
            for feature in gathered.iter_mut() {
                *feature = rounding::floor(*feature / step) * step;
            }
        }
        if !self.shared.is_empty() {
            for features in gathered.chunks_exact_mut(self.count) {
                features.iter_mut().zip(&self.shared).for_each(|(feature, cell)| *feature *= cell);
            }
        }
    }

    /// The sums of the squares of what cells add: one for each position, or one for each of its outputs.
    fn energies(
        &self,
        gathered: &mut [f32],
        positions: usize,
        energies: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let square = |value: &f32| value * value;
        energies.clear();
        match &self.squares {
            None => energies.extend(
                gathered.chunks_exact(self.count).map(|values| values.iter().map(square).sum::<f32>()),
            ),
            Some(squares) => {
                for value in gathered.iter_mut() {
                    *value *= *value;
                }
                energies.resize(positions * self.rows.len(), 0.0);
                linear(gathered, squares, &Epilogue::default(), energies, scratch);
            }
        }
    }
}

impl Row {
    fn new(array: &SandwichRam, row: usize) -> Self {
        let reserve = array.spec.reserve as f32;
        let [generator, quantiser, _] = array.components();
        let mut own = Self { start: reserve * generator[row], quantiser: quantiser[row], zero: reserve };
        if array.spec.row_offset == RowOffset::Calibrated {
            own.zero += match array.spec.rounding {
                Rounding::Floor => own.read(0.0, rounding::floor),
                Rounding::Nearest => own.read(0.0, rounding::nearest),
                Rounding::None => own.read(0.0, |width| width),
            };
        }
        own
    }

    /// What is read of a pulse that the cells made longer by `change`; one that vanished has the width zero.
    #[inline]
    fn read(self, change: f32, round: impl Fn(f32) -> f32) -> f32 {
        round((self.start + change).max(0.0) / self.quantiser) - self.zero
    }
}
