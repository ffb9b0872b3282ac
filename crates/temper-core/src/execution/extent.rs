//! Boxes in a value: which part of an image's activations a faulty run may have changed.

use std::ops::Range;

use temper_kernels::Region;

/// A box of one image's value, seen as `[C, H, W]`: channels, rows and columns. Features `[F]` are channels of one row and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    low: [u32; 3],
    high: [u32; 3],
}

impl Extent {
    /// Nothing.
    pub const EMPTY: Self = Self { low: [0; 3], high: [0; 3] };

    /// All of a value of this shape.
    pub fn full(shape: [usize; 3]) -> Self {
        Self::new(shape.map(|size| 0..size))
    }

    /// The box of these channels, rows and columns; nothing if one of the ranges is empty.
    #[expect(clippy::needless_pass_by_value, reason = "ranges are made where they are given")]
    pub fn new(ranges: [Range<usize>; 3]) -> Self {
        if ranges.iter().any(Range::is_empty) {
            return Self::EMPTY;
        }
        Self {
            low: std::array::from_fn(|axis| ranges[axis].start as u32),
            high: std::array::from_fn(|axis| ranges[axis].end as u32),
        }
    }

    /// The single value at `index` (row-major) of a value of this shape.
    pub fn cell(shape: [usize; 3], index: usize) -> Self {
        let [_, height, width] = shape;
        let at = [index / (height * width), index / width % height, index % width];
        Self::new(at.map(|at| at..at + 1))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.high[0] == 0
    }

    /// Channels, rows or columns: axis 0, 1 or 2.
    pub(super) fn axis(self, axis: usize) -> Range<usize> {
        self.low[axis] as usize..self.high[axis] as usize
    }

    /// The same box so many channels, rows and columns further on.
    pub(super) fn moved(self, by: [usize; 3]) -> Self {
        Self::new(std::array::from_fn(|axis| {
            let range = self.axis(axis);
            range.start + by[axis]..range.end + by[axis]
        }))
    }

    /// The smallest box of whole tiles of so many rows and columns around it; those at the end of a value of this shape are cut off.
    #[must_use]
    pub(super) fn in_tiles(self, tile: usize, [_, height, width]: [usize; 3]) -> Self {
        let whole = |range: Range<usize>, size: usize| {
            range.start / tile * tile..range.end.next_multiple_of(tile).min(size)
        };
        Self::new([self.axis(0), whole(self.axis(1), height), whole(self.axis(2), width)])
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        Self {
            low: std::array::from_fn(|axis| self.low[axis].min(other.low[axis])),
            high: std::array::from_fn(|axis| self.high[axis].max(other.high[axis])),
        }
    }

    /// Whether all of `other` lies in it.
    pub(super) fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (0..3).all(|axis| self.low[axis] <= other.low[axis] && other.high[axis] <= self.high[axis])
    }

    /// The same box as the kernels want it.
    pub(super) fn of_image(self, image: usize) -> Region {
        Region { image, channels: self.axis(0), rows: self.axis(1), columns: self.axis(2) }
    }

    /// Calls `each` with the offset and length of every run of neighbouring values in a value of this shape; no run leaves its
    /// channel.
    pub fn for_each_run(self, shape: [usize; 3], mut each: impl FnMut(usize, usize)) {
        self.any_run(shape, |offset, len| {
            each(offset, len);
            false
        });
    }

    /// Whether `is` holds for any run of neighbouring values, which are those of [`for_each_run`](Self::for_each_run).
    fn any_run(self, shape: [usize; 3], mut is: impl FnMut(usize, usize) -> bool) -> bool {
        let [_, height, width] = shape;
        let (rows, columns) = (self.axis(1), self.axis(2));
        if columns.len() == width {
            return self
                .axis(0)
                .any(|channel| is((channel * height + rows.start) * width, rows.len() * width));
        }
        let mut is_row = |channel, row| is((channel * height + row) * width + columns.start, columns.len());
        self.axis(0).any(|channel| rows.clone().any(|row| is_row(channel, row)))
    }

    /// The smallest box outside of which the two values of an image are the same bit for bit, if they are outside of this one.
    #[must_use]
    pub(super) fn tightened(self, shape: [usize; 3], golden: &[f32], faulty: &[f32]) -> Self {
        let differs = |extent: Self| {
            extent
                .any_run(shape, |offset, len| !same_bits(&golden[offset..][..len], &faulty[offset..][..len]))
        };
        let mut tight = self;
        for axis in 0..3 {
            while !tight.is_empty() && !differs(tight.slice(axis, tight.low[axis])) {
                tight.low[axis] += 1;
                if tight.low[axis] == tight.high[axis] {
                    return Self::EMPTY;
                }
            }
            while !tight.is_empty() && !differs(tight.slice(axis, tight.high[axis] - 1)) {
                tight.high[axis] -= 1;
            }
        }
        tight
    }

    /// The part at one place of an axis.
    fn slice(self, axis: usize, at: u32) -> Self {
        let mut slice = self;
        slice.low[axis] = at;
        slice.high[axis] = at + 1;
        slice
    }
}

/// Whether values are the same bit for bit.
fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let (a_blocks, a_rest) = a.as_chunks::<16>();
    let (b_blocks, b_rest) = b.as_chunks::<16>();
    let differing =
        |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.to_bits() ^ b.to_bits()));
    a_blocks.iter().zip(b_blocks).all(|(a, b)| differing(a, b) == 0) && differing(a_rest, b_rest) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [3, 4, 5];

    #[test]
    fn runs_cover_a_box_exactly_once() {
        for (ranges, count) in [([0..3, 0..4, 0..5], 60), ([1..2, 1..3, 0..5], 10), ([0..2, 3..4, 2..4], 4)] {
            let extent = Extent::new(ranges.clone());
            let mut seen = [0; 60];
            extent.for_each_run(SHAPE, |offset, len| seen[offset..][..len].iter_mut().for_each(|n| *n += 1));
            assert_eq!(seen.iter().sum::<usize>(), count);
            for (index, &times) in seen.iter().enumerate() {
                assert_eq!(times == 1, extent.contains(Extent::cell(SHAPE, index)), "{ranges:?} at {index}");
            }
        }
    }

    #[test]
    fn tightening_leaves_the_box_around_what_differs() {
        let golden = [1.0f32; 60];
        let everything = Extent::full(SHAPE);
        assert!(everything.tightened(SHAPE, &golden, &golden).is_empty());
        for first in 0..60 {
            for second in [first, (first * 7 + 3) % 60] {
                let mut faulty = golden;
                faulty[first] = 2.0;
                faulty[second] = f32::NAN;
                let expected = Extent::cell(SHAPE, first).union(Extent::cell(SHAPE, second));
                assert_eq!(everything.tightened(SHAPE, &golden, &faulty), expected);
                assert_eq!(expected.tightened(SHAPE, &golden, &faulty), expected);
            }
        }
        // Zeros of different sign are different bits.
        let mut faulty = [0.0f32; 60];
        faulty[7] = -0.0;
        assert_eq!(everything.tightened(SHAPE, &[0.0; 60], &faulty), Extent::cell(SHAPE, 7));
    }

    #[test]
    fn tiles_are_whole_but_at_the_end() {
        let tiles = |ranges: [Range<usize>; 3], tile| Extent::new(ranges).in_tiles(tile, [3, 10, 13]);
        assert_eq!(tiles([1..2, 3..5, 7..8], 4), Extent::new([1..2, 0..8, 4..8]));
        assert_eq!(tiles([0..3, 8..9, 12..13], 4), Extent::new([0..3, 8..10, 12..13]));
        assert_eq!(tiles([1..2, 3..5, 7..8], 1), Extent::new([1..2, 3..5, 7..8]));
    }

    #[test]
    fn unions_and_empty_boxes() {
        let (a, b) = (Extent::cell(SHAPE, 0), Extent::cell(SHAPE, 59));
        assert_eq!(a.union(b), Extent::full(SHAPE));
        assert_eq!(a.union(Extent::EMPTY), a);
        assert_eq!(Extent::EMPTY.union(b), b);
        assert!(Extent::new([0..1, 2..2, 0..1]).is_empty());
        assert!(a.contains(Extent::EMPTY) && !a.contains(b));
    }
}
