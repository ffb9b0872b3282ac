//! Weights laid out as the tiles read them.

use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::panels::{ColumnPanels, RowPanels};
use crate::winograd::{AMPLIFICATION, TransformedWeights};

/// The weight matrix of a convolution or linear layer, in panels of a few rows, so that a tile reads it front to back.
///
/// Single values are read and replaced in place in constant time: striking a weight needs no repacking.
#[derive(Debug, Clone)]
pub struct PackedWeights {
    isa: Isa,
    groups: usize,
    /// Rows (output channels) of each group.
    rows: usize,
    /// Columns (inputs of one output).
    columns: usize,
    /// `[groups, panels, columns, isa.lanes()]`; rows that fill up the last panel are zero.
    data: Aligned,
    /// The same for Winograd's algorithm, where that is to be used.
    winograd: Option<TransformedWeights>,
}

impl PackedWeights {
    /// Packs `weights` for the instructions of `isa`.
    ///
    /// **Shapes**: `weights` `[groups · rows, columns]`, where `rows` are the output channels of one group.
    ///
    /// # Panics
    /// When `weights` does not have that many values, or the processor does not have the instructions.
    pub fn new(isa: Isa, weights: &[f32], groups: usize, rows: usize, columns: usize) -> Self {
        assert_eq!(weights.len(), groups * rows * columns, "weights must fill [groups * rows, columns]");
        Self::within(Aligned::default(), isa, weights, groups, rows, columns)
    }

    /// As [`PackedWeights::new`], in memory that was allocated before.
    pub(crate) fn within(
        memory: Aligned,
        isa: Isa,
        weights: &[f32],
        groups: usize,
        rows: usize,
        columns: usize,
    ) -> Self {
        let mut packed = Self::room(memory, isa, groups, rows, columns);
        let size = packed.group();
        let panel = columns * isa.lanes();
        for group in 0..groups {
            let from = &weights[group * rows * columns..][..rows * columns];
            let to = &mut packed.data.values_mut()[group * size..][..size];
            isa.run(RowPanels { from, rows, columns, distance: columns, to, panel });
        }
        packed
    }

    /// The same weights, with which convolutions are computed by Winograd's algorithm: in about half the time, with some times the
    /// rounding errors (see `winograd`).
    ///
    /// # Panics
    /// When they are not those of a convolution of 3 × 3 in one group.
    #[must_use]
    pub fn with_winograd(mut self) -> Self {
        assert!(self.groups == 1 && self.columns.is_multiple_of(9), "weights must be [rows, C, 3, 3]");
        let inputs = self.columns / 9;
        let mut transformed = TransformedWeights::zeros(self.isa, self.rows, inputs);
        for kernel in 0..self.rows * inputs {
            let weights = self.kernel(kernel);
            transformed.set(kernel / inputs, kernel % inputs, &weights);
            for weight in weights {
                transformed.count(kernel / inputs, 0.0, weight);
            }
        }
        self.winograd = Some(transformed);
        self
    }

    /// What Winograd's algorithm needs, where it is to be used.
    pub(crate) fn winograd(&self) -> Option<&TransformedWeights> {
        self.winograd.as_ref()
    }

    /// How many unit roundoffs rounding errors of the product can change by when its inputs do by Δ, in units of `‖N‖ ‖Δ‖₂`, where N has
    /// for each output and input channel the sum of the magnitudes of the weights between them: to first order, in the Euclidean
    /// norm, at most.
    pub fn rounding_gain(&self) -> f64 {
        match self.winograd {
            Some(_) => AMPLIFICATION * (self.columns / 9 + 16) as f64,
            None => (self.columns + 16) as f64,
        }
    }

    /// The 3 × 3 weights at `index · 9` of the unpacked matrix.
    fn kernel(&self, index: usize) -> [f32; 9] {
        std::array::from_fn(|tap| self.get(index * 9 + tap))
    }

    /// Its memory, to be used again.
    pub(crate) fn into_memory(self) -> Aligned {
        self.data
    }

    /// Packs the transpose of `weights`: with it, [`linear`](crate::linear()) makes a linear layer's input gradient `[n, in_features]`
    /// of its output gradient `[n, out_features]`.
    ///
    /// **Shapes**: `weights` `[rows, columns]` (`[out_features, in_features]`); the packed matrix has `columns` rows.
    ///
    /// # Panics
    /// As [`PackedWeights::new`].
    pub fn transposed(isa: Isa, weights: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(weights.len(), rows * columns, "weights must fill [rows, columns]");
        let mut packed = Self::zeros(isa, 1, columns, rows);
        if !weights.is_empty() {
            let to = packed.data.values_mut();
            isa.run(ColumnPanels { from: weights, columns, distance: columns, to });
        }
        packed
    }

    /// Room for a matrix.
    pub(crate) fn zeros(isa: Isa, groups: usize, rows: usize, columns: usize) -> Self {
        Self::room(Aligned::default(), isa, groups, rows, columns)
    }

    fn room(mut data: Aligned, isa: Isa, groups: usize, rows: usize, columns: usize) -> Self {
        // The vector paths are sound only because of this check.
        isa.check();
        data.grow(groups * rows.div_ceil(isa.lanes()) * isa.lanes() * columns);
        Self { isa, groups, rows, columns, data, winograd: None }
    }

    /// The packed values `[groups, panels, columns, isa.lanes()]`.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.data.values_mut()
    }

    /// Packed values of one group.
    fn group(&self) -> usize {
        self.rows.div_ceil(self.isa.lanes()) * self.isa.lanes() * self.columns
    }

    /// The instructions it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Rows (output channels) of each group.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs of one output).
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The weight at `index` of the unpacked matrix.
    pub fn get(&self, index: usize) -> f32 {
        self.data.values()[self.position(index)]
    }

    /// Replaces the weight at `index` of the unpacked matrix.
    pub fn set(&mut self, index: usize, weight: f32) {
        let position = self.position(index);
        let before = std::mem::replace(&mut self.data.values_mut()[position], weight);
        let kernel = self.winograd.is_some().then(|| self.kernel(index / 9));
        if let (Some(transformed), Some(kernel)) = (&mut self.winograd, kernel) {
            let (row, input) = (index / self.columns, index % self.columns / 9);
            transformed.set(row, input, &kernel);
            transformed.count(row, before, weight);
        }
    }

    /// The panels of one group from panel `first` on, each `[columns, isa.lanes()]`.
    pub(crate) fn panels(&self, group: usize, first: usize) -> &[f32] {
        let size = self.group();
        &self.data.values()[group * size..][..size][first * self.columns * self.isa.lanes()..]
    }

    fn position(&self, index: usize) -> usize {
        let (row, column) = (index / self.columns, index % self.columns);
        let (group, row) = (row / self.rows, row % self.rows);
        let height = self.isa.lanes();
        let panel = group * self.rows.div_ceil(height) + row / height;
        (panel * self.columns + column) * height + row % height
    }
}
