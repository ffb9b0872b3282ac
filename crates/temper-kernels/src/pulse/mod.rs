//! Sums of rows of analog cells that lengthen and shorten a pulse, read row by row.

mod tile;

use crate::integer::round_ties_even;
use crate::isa::Isa;
use crate::pack::PackedWeights;
use crate::simd::floor;
use crate::windows::Windows;

/// How the width of a pulse, at least 0, is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WidthRounding {
    /// To the next lower whole number.
    Floor,
    /// To the nearest whole number, ties to the even one.
    Nearest,
    /// Not at all.
    None,
}

impl WidthRounding {
    /// Rounds a width.
    pub fn apply(self, width: f32) -> f32 {
        match self {
            Self::Floor => floor(width),
            Self::Nearest => round_ties_even(width),
            Self::None => width,
        }
    }
}

/// What the ends of a row make of a pulse: with what width it starts, by what its width is divided, and what is subtracted from the
/// number that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowEnds {
    /// Width at the start.
    pub start: f32,
    /// Width of one step that is read; positive.
    pub quantiser: f32,
    /// What is subtracted from the number.
    pub zero: f32,
}

impl RowEnds {
    /// What is read of a pulse that the cells made longer by `change`: of one that vanished, what a width of zero gives.
    pub fn read(self, change: f32, rounding: WidthRounding) -> f32 {
        rounding.apply((self.start + change).max(0.0) / self.quantiser) - self.zero
    }
}

/// What the cells of a layer multiply features with, besides the weights' signs.
#[derive(Debug, Clone)]
pub enum Cells {
    /// The cells serve all outputs: their factors, `[inputs]`.
    Shared(Vec<f32>),
    /// Every weight has its own, which is in the weights; the factors' squares, `[outputs, inputs]`.
    Own(PackedWeights),
}

/// A layer's weights in rows of cells.
///
/// With features *x* and cells *m*, output *o* is the sum over its rows *r* of what [`RowEnds`] read of
/// `change = mean · Σ_j w_oj m_j x_j + sigma · √(Σ_j (m_j x_j)²) · z`, where *j* are the row's inputs and *z* is a standard normal number of the
/// reading's own, or 0 without noise. Both sums are added up in the order of the inputs: the first one, and with cells of their own the second,
/// as a chain of fused multiply-adds.
#[derive(Debug, Clone)]
pub struct PulseRows {
    /// `[outputs, inputs]`.
    weights: PackedWeights,
    cells: Cells,
    /// Inputs of a row.
    width: usize,
    /// Of each row, for whole vectors of outputs: `[rows of an output, outputs and what fills up the last vector]`.
    ends: [Vec<f32>; 3],
    rounding: WidthRounding,
    mean: f32,
    sigma: f32,
}

/// What [`PulseRows::run`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    /// Where the inputs of each position lie.
    pub windows: &'a Windows,
    /// Images as [placed](Windows::place): `[images, placed_len]`.
    pub placed: &'a [f32],
    /// A standard normal number for each reading, `[images, rows of an output, positions, outputs]`; none for cells without noise.
    pub normals: Option<&'a [f32]>,
}

impl PulseRows {
    /// Puts weights into rows of `width` inputs. Of each row's cells `mean` is what noise multiplies features with on average, and `sigma`
    /// its deviation.
    ///
    /// **Shapes**: `weights` `[outputs, inputs]`, −1 or 1, or with cells of their own these times the factors; `ends`
    /// `[rows of an output, outputs]`.
    ///
    /// # Panics
    /// When the shapes do not go together.
    pub fn new(
        weights: PackedWeights,
        cells: Cells,
        width: usize,
        ends: &[RowEnds],
        rounding: WidthRounding,
        [mean, sigma]: [f32; 2],
    ) -> Self {
        let (outputs, inputs) = (weights.rows(), weights.columns());
        let rows = inputs.div_ceil(width);
        assert_eq!(ends.len(), rows * outputs, "ends must be [rows of an output, outputs]");
        match &cells {
            Cells::Shared(factors) => assert_eq!(factors.len(), inputs, "a factor for each input"),
            Cells::Own(squares) => {
                let shape = [squares.rows(), squares.columns()];
                assert_eq!(shape, [outputs, inputs], "a square for each weight");
                assert_eq!(squares.isa(), weights.isa(), "packed for the same instructions");
            }
        }
        let filled = outputs.next_multiple_of(weights.isa().lanes());
        let of_all = |of_row: fn(&RowEnds) -> f32| {
            let mut all = vec![1.0; rows * filled];
            for (all, ends) in all.chunks_exact_mut(filled).zip(ends.chunks_exact(outputs)) {
                all.iter_mut().zip(ends).for_each(|(value, ends)| *value = of_row(ends));
            }
            all
        };
        let ends = [of_all(|row| row.start), of_all(|row| row.quantiser), of_all(|row| row.zero)];
        Self { weights, cells, width, ends, rounding, mean, sigma }
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.weights.rows()
    }

    /// Rows of an output.
    pub fn rows(&self) -> usize {
        self.weights.columns().div_ceil(self.width)
    }

    /// The sums of all rows, and in how many readings a pulse had vanished (its width would have been negative). The same bits on every
    /// instruction set.
    ///
    /// **Shapes**: `sums` `[images, outputs, positions]`.
    ///
    /// # Panics
    /// When the slices do not have their shapes.
    pub fn run(&self, features: Features<'_>, sums: &mut [f32]) -> u64 {
        let Features { windows, placed, normals } = features;
        let images = placed.len() / windows.placed_len();
        assert_eq!(windows.inputs(), self.weights.columns(), "windows must have as many inputs");
        assert_eq!(placed.len(), images * windows.placed_len(), "placed must be [images, placed_len]");
        let readings = images * windows.positions() * self.outputs();
        assert_eq!(sums.len(), readings, "sums must be [images, outputs, positions]");
        if let Some(normals) = normals {
            assert_eq!(normals.len(), readings * self.rows(), "a normal number for each reading");
        }
        let mut vanished = 0;
        self.isa().run(tile::Job { rows: self, features, sums, vanished: &mut vanished });
        vanished
    }

    fn isa(&self) -> Isa {
        self.weights.isa()
    }
}
