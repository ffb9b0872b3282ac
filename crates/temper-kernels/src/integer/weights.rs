//! Integer weights laid out as the tiles read them.

use std::fmt;

use super::isa::IntegerIsa;
use super::layout::Layout;
use super::tile::Offsets;
use crate::conv::ConvShape;

/// The weights of a layer whose sums could exceed 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumError {
    /// Inputs of one output.
    pub taps: usize,
    /// The most for which every sum fits.
    pub most: usize,
}

impl fmt::Display for SumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taps, most } = self;
        write!(
            f,
            "sums of {taps} products can exceed 32 bits; expected at most {most} inputs for each output"
        )
    }
}

impl std::error::Error for SumError {}

/// Checks that sums of `taps` products fit 32 bits: inputs are at most 255 steps away from their zero point, weights 128, or 255 if
/// they have zero points of their own.
///
/// # Errors
/// When taps · 255 · 128 (or 255 · 255) exceeds 2³¹ − 1.
pub fn check_sum(taps: usize, weights_have_zero_points: bool) -> Result<(), SumError> {
    let weight = if weights_have_zero_points { 255 } else { 128 };
    let most = i32::MAX as usize / (255 * weight);
    if taps <= most { Ok(()) } else { Err(SumError { taps, most }) }
}

/// The weights of a convolution or linear layer as 8-bit codes, in panels of a few output channels.
///
/// Single codes are read and replaced in place in constant time.
#[derive(Debug, Clone)]
pub struct IntegerWeights {
    isa: IntegerIsa,
    layout: Layout,
    /// Where each unit's inputs are.
    offsets: Offsets,
    /// Rows (output channels) of each group.
    rows: usize,
    /// 1 if there are zero points: then the first row of each group is all ones, so that it sums the inputs' codes. Else 0.
    ones: usize,
    /// Whether vector lanes are places of a plane, else output channels.
    by_places: bool,
    /// `[groups, panels, units, lanes]`, 4 or 2 codes in each; taps and rows that are none are zero.
    data: Vec<u32>,
    /// For each lane, the sum of its codes.
    sums: Vec<i32>,
    /// For each output channel; empty if all are zero.
    zero_points: Vec<i32>,
}

impl IntegerWeights {
    /// Packs the weights of a convolution for the instructions of `isa`.
    ///
    /// **Shapes**: `codes` `[out_channels, C / groups, kh, kw]`, `zero_points` `[out_channels]`: the code of zero in each channel,
    /// −128..=127.
    ///
    /// # Panics
    /// When there are not that many values, a zero point is no code, [`check_sum`] fails, or the processor does not have the instructions.
    pub fn conv(isa: IntegerIsa, shape: &ConvShape, codes: &[i8], zero_points: &[i32]) -> Self {
        // The vector paths are sound only because of this check.
        assert!(IntegerIsa::available().contains(&isa), "this processor has no {isa:?}");
        let layout = Layout::new(shape, isa.unit());
        let (taps, rows) = (layout.taps(), shape.out_channels / shape.groups);
        assert_eq!(
            codes.len(),
            shape.out_channels * taps,
            "codes must be [out_channels, C / groups, kh, kw]"
        );
        assert_eq!(zero_points.len(), shape.out_channels, "one zero point for each output channel");
        assert!(zero_points.iter().all(|zero| (-128..=127).contains(zero)), "zero points must be codes");
        let ones = usize::from(zero_points.iter().any(|zero| *zero != 0));
        assert_eq!(check_sum(taps, ones == 1), Ok(()), "sums must fit 32 bits");
        let lanes = shape.groups * (rows + ones).div_ceil(isa.lanes()) * isa.lanes();
        let mut packed = Self {
            isa,
            by_places: is_faster_by_places(&layout, rows + ones, isa.lanes()),
            offsets: Offsets::new(layout.offsets()),
            rows,
            ones,
            data: vec![0; lanes * layout.units()],
            sums: vec![0; lanes],
            zero_points: if ones == 1 { zero_points.to_vec() } else { Vec::new() },
            layout,
        };
        for (index, &code) in codes.iter().enumerate() {
            packed.set(index, code);
        }
        if ones == 1 {
            for group in 0..shape.groups {
                let lane = group * packed.group_lanes();
                (0..taps).for_each(|tap| packed.replace(lane, tap, 1));
            }
        }
        packed
    }

    /// Packs the weights of a linear layer for the instructions of `isa`.
    ///
    /// **Shapes**: `codes` `[out_features, in_features]`, `zero_points` `[out_features]`.
    ///
    /// # Panics
    /// As [`IntegerWeights::conv`].
    pub fn linear(isa: IntegerIsa, in_features: usize, codes: &[i8], zero_points: &[i32]) -> Self {
        let shape = ConvShape {
            input: [1, 1, in_features],
            out_channels: zero_points.len(),
            kernel: [1, in_features],
            stride: [1; 2],
            padding: [0; 4],
            dilation: [1; 2],
            groups: 1,
        };
        Self::conv(isa, &shape, codes, zero_points)
    }

    /// The instructions they were packed for.
    pub fn isa(&self) -> IntegerIsa {
        self.isa
    }

    /// The code at `index` of the unpacked weights.
    pub fn get(&self, index: usize) -> i8 {
        let (lane, tap) = self.lane(index);
        let (at, shift) = self.position(lane, tap);
        (self.data[at] >> shift).to_le_bytes()[0].cast_signed()
    }

    /// Replaces the code at `index` of the unpacked weights.
    pub fn set(&mut self, index: usize, code: i8) {
        let (lane, tap) = self.lane(index);
        self.replace(lane, tap, code);
    }

    fn replace(&mut self, lane: usize, tap: usize, code: i8) {
        let (at, shift) = self.position(lane, tap);
        let before = (self.data[at] >> shift).to_le_bytes()[0].cast_signed();
        // In 16 bits the sign is extended.
        let (mask, bits) = if self.isa.unit() == 4 {
            (0xff, u32::from(code.cast_unsigned()))
        } else {
            (0xffff, u32::from(i16::from(code).cast_unsigned()))
        };
        self.data[at] = self.data[at] & !(mask << shift) | bits << shift;
        self.sums[lane] += i32::from(code) - i32::from(before);
    }

    /// The lane and tap of a weight.
    fn lane(&self, index: usize) -> (usize, usize) {
        let (row, tap) = (index / self.layout.taps(), index % self.layout.taps());
        (row / self.rows * self.group_lanes() + self.ones + row % self.rows, tap)
    }

    /// The place in `data`, and the bit at which the code begins.
    fn position(&self, lane: usize, tap: usize) -> (usize, usize) {
        let (unit, place) = self.layout.place(tap);
        let lanes = self.isa.lanes();
        let panel = lane / lanes;
        ((panel * self.layout.units() + unit) * lanes + lane % lanes, place * 32 / self.isa.unit())
    }

    pub(super) fn by_places(&self) -> bool {
        self.by_places
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Lanes before the first output channel of a group: one that sums the inputs' codes, or none.
    pub(super) fn ones(&self) -> usize {
        self.ones
    }

    /// Lanes of each group: all channels, filled up to whole panels.
    pub(super) fn group_lanes(&self) -> usize {
        self.sums.len() / self.layout.shape().groups
    }

    pub(super) fn sums(&self) -> &[i32] {
        &self.sums
    }

    pub(super) fn zero_points(&self) -> &[i32] {
        &self.zero_points
    }

    /// `panels` panels from lane `lane` on, each `[units, lanes]`.
    pub(super) fn panels(&self, lane: usize, panels: usize) -> &[u32] {
        let size = self.layout.units() * self.isa.lanes();
        &self.data[lane / self.isa.lanes() * size..][..panels * size]
    }
}

/// Whether lanes had better be places of a plane than the rows of a group: products of vectors, which those of places exceed by what lies
/// between the rows of outputs, and those of rows by what does not fill a panel. Sums by rows have to be turned.
fn is_faster_by_places(layout: &Layout, rows: usize, lanes: usize) -> bool {
    let pixels: usize = layout.shape().output().iter().product();
    let by_rows = pixels * rows.div_ceil(lanes);
    layout.places().is_some_and(|places| pixels > 1 && places.div_ceil(lanes) * rows * 8 <= by_rows * 9)
}
