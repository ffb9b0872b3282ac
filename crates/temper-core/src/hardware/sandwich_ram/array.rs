//! One chip's array.

use rand::Rng;
use serde::{Deserialize, Serialize};

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

    /// *M* of the cells of a row.
    pub(super) fn cells(&self, row: usize) -> &[f32] {
        &self.modulator[row * self.spec.cells..][..self.spec.cells]
    }
}
