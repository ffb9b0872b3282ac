//! One chip's array.

use rand::Rng;
use serde::{Deserialize, Serialize};
use temper_kernels::RowEnds;

use super::{Mapping, RowOffset, SandwichRamSpec};

/// No component's factor is smaller: a quantiser that divides by zero reads nothing.
const LEAST: f32 = 0.01;

/// The components of one chip as one layer uses them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandwichRam {
    pub(super) spec: SandwichRamSpec,
    /// Outputs and inputs of the layer.
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// *G* of each row.
    pub(super) generator: Vec<f32>,
    /// *Q* of each row.
    pub(super) quantiser: Vec<f32>,
    /// *M* of each cell, `[rows, cells]`.
    pub(super) modulator: Vec<f32>,
}

impl SandwichRam {
    /// Draws the array that a layer of `outputs` outputs and `inputs` inputs lies on. Of a generator and a quantiser no factor is below
    /// 0.01, whatever is drawn.
    pub fn draw(spec: &SandwichRamSpec, [outputs, inputs]: [usize; 2], rng: &mut impl Rng) -> Self {
        let rows = match spec.mapping {
            Mapping::TimeMultiplexed => spec.rows.min(spec.rows_of(inputs)),
            Mapping::Unrolled => outputs * spec.rows_of(inputs),
        };
        let positive = |factors: Vec<f32>| factors.into_iter().map(|factor| factor.max(LEAST)).collect();
        let generator: Vec<f32> = positive(spec.generator.draw(rows, rng));
        let quantiser = positive(spec.quantiser.draw(rows, rng));
        let quantiser = if spec.row_offset == RowOffset::Matched { generator.clone() } else { quantiser };
        let modulator = spec.modulator.draw(rows * spec.cells, rng);
        Self { spec: spec.clone(), outputs, inputs, generator, quantiser, modulator }
    }

    /// *G*, *Q*, and *M* of each row, `[rows]`, `[rows]`, `[rows, cells]`.
    pub fn components(&self) -> [&[f32]; 3] {
        [&self.generator, &self.quantiser, &self.modulator]
    }

    /// The row of the array on which an output's `part`-th row of inputs lies.
    pub(super) fn row(&self, output: usize, part: usize) -> usize {
        match self.spec.mapping {
            Mapping::TimeMultiplexed => part % self.generator.len(),
            Mapping::Unrolled => output * self.spec.rows_of(self.inputs) + part,
        }
    }

    /// *M* of the cells that serve the inputs of an output.
    pub(super) fn factors(&self, output: usize) -> impl Iterator<Item = f32> {
        let cells = self.spec.cells;
        (0..self.inputs)
            .map(move |input| self.modulator[self.row(output, input / cells) * cells + input % cells])
    }

    /// What the ends of a row do, with what is subtracted digitally: *Pre*, or what was read without features.
    pub(super) fn ends(&self, row: usize) -> RowEnds {
        let reserve = self.spec.reserve as f32;
        let mut own =
            RowEnds { start: reserve * self.generator[row], quantiser: self.quantiser[row], zero: reserve };
        if self.spec.row_offset == RowOffset::Calibrated {
            own.zero += own.read(0.0, self.spec.rounding.into());
        }
        own
    }
}
