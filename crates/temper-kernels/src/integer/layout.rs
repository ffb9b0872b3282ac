//! How taps lie together in 32-bit units: those of the inputs, and those of the weights that meet them.

use super::CodeGrid;
use crate::conv::ConvShape;

/// The layout of a layer's inputs as codes, in padded planes. A *unit* is what one 32-bit lane multiplies: 4 taps of 8 bits, or 2 of 16.
///
/// *Blocked*: a unit is one pixel of that many channels, `[groups, ⌈C / unit⌉, H, W, unit]`. *Planar*: a unit is that many
/// neighbouring pixels of a row, `[C, H, W]`, read at any place; better where there are few channels. A linear layer is a
/// convolution of one row with a kernel as wide.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    shape: ConvShape,
    /// Taps in a unit.
    unit: usize,
    blocked: bool,
    /// Planes of one group.
    planes: usize,
    /// Height and width of a padded plane.
    padded: [usize; 2],
    /// Bytes from one column of a plane to the next.
    cell: usize,
}

/// Adding 1.5 · 2²³ leaves a float's integer part in the low bits of its mantissa, rounded.
const ROUNDING: f32 = 12_582_912.0;

impl Layout {
    pub(super) fn new(shape: &ConvShape, unit: usize) -> Self {
        let channels = shape.input[0] / shape.groups;
        let [kh, kw] = shape.kernel;
        let blocked =
            shape.dilation[1] != 1 || channels.div_ceil(unit) * kh * kw <= channels * kh * kw.div_ceil(unit);
        let [top, left, bottom, right] = shape.padding;
        Self {
            shape: *shape,
            unit,
            blocked,
            planes: if blocked { channels.div_ceil(unit) } else { channels },
            padded: [shape.input[1] + top + bottom, shape.input[2] + left + right],
            cell: if blocked { 4 } else { 4 / unit },
        }
    }

    pub(super) fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Inputs of one output.
    pub(super) fn taps(&self) -> usize {
        self.shape.input[0] / self.shape.groups * self.shape.kernel[0] * self.shape.kernel[1]
    }

    /// Units of one output's inputs.
    pub(super) fn units(&self) -> usize {
        let [kh, kw] = self.shape.kernel;
        self.planes * kh * if self.blocked { kw } else { kw.div_ceil(self.unit) }
    }

    /// Where a tap lies, by its number in `[C / groups, kh, kw]`: the unit, and the place in it.
    pub(super) fn place(&self, tap: usize) -> (usize, usize) {
        let [kh, kw] = self.shape.kernel;
        let (channel, y, x) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        if self.blocked {
            (((channel / self.unit) * kh + y) * kw + x, channel % self.unit)
        } else {
            ((channel * kh + y) * kw.div_ceil(self.unit) + x / self.unit, x % self.unit)
        }
    }

    /// For each unit, its distance in bytes from the first one.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let ([kh, kw], [dy, dx]) = (self.shape.kernel, self.shape.dilation);
        let [height, width] = self.padded;
        let (columns, step) = if self.blocked { (kw, dx) } else { (kw.div_ceil(self.unit), self.unit) };
        let row = |plane, y| (plane * height + y * dy) * width;
        let rows = (0..self.planes).flat_map(|plane| (0..kh).map(move |y| row(plane, y)));
        rows.flat_map(|row| (0..columns).map(move |x| (row + x * step) * self.cell)).collect()
    }

    /// Bytes from one place of a plane to the next.
    pub(super) fn cell(&self) -> usize {
        self.cell
    }

    /// Width of a padded plane.
    pub(super) fn width(&self) -> usize {
        self.padded[1]
    }

    /// The places of a padded plane from the first output's to the last one's, where outputs lie as inputs do.
    pub(super) fn places(&self) -> Option<usize> {
        let [oh, ow] = self.shape.output();
        (self.shape.stride == [1, 1]).then(|| (oh - 1) * self.padded[1] + ow)
    }

    /// Bytes of one group's planes.
    pub(super) fn group_bytes(&self) -> usize {
        self.planes * self.padded[0] * self.padded[1] * self.cell
    }

    /// Bytes of one image.
    pub(super) fn image_bytes(&self) -> usize {
        self.shape.groups * self.group_bytes()
    }

    /// Where the first units of the pixels `first ..` of a batch are, until `bases` is full.
    pub(super) fn bases(&self, first: usize, bases: &mut [usize]) {
        let [oh, ow] = self.shape.output();
        let [sy, sx] = self.shape.stride;
        let (row_step, step) = (sy * self.padded[1] * self.cell, sx * self.cell);
        let (image, pixel) = (first / (oh * ow), first % (oh * ow));
        let (mut y, mut x) = (pixel / ow, pixel % ow);
        let mut image = image * self.image_bytes();
        let mut rest = bases;
        while !rest.is_empty() {
            let (row, after) = rest.split_at_mut((ow - x).min(rest.len()));
            let start = image + y * row_step;
            for (base, x) in row.iter_mut().zip(x..) {
                *base = start + x * step;
            }
            (rest, x, y) = (after, 0, y + 1);
            if y == oh {
                (y, image) = (0, image + self.image_bytes());
            }
        }
    }

    /// Turns an image into codes.
    ///
    /// **Shapes**: `input` `[C, H, W]`, `codes` as many bytes as an image has.
    #[inline(always)]
    pub(super) fn encode(&self, grid: CodeGrid, input: &[f32], codes: &mut [u8]) {
        let code = {
            let (reciprocal, zero) = (1.0 / grid.scale, ROUNDING + f32::from(grid.zero));
            #[inline(always)]
            move |value: f32| (value * reciprocal + zero).to_bits() & 0xff
        };
        let [_, h, w] = self.shape.input;
        let [top, left, ..] = self.shape.padding;
        let [height, width] = self.padded;
        if self.shape.padding != [0; 4] {
            self.fill(grid.zero, codes);
        }
        let plane_bytes = height * width * self.cell;
        for (number, codes) in codes.chunks_exact_mut(plane_bytes).enumerate() {
            let [first, last] = self.channels(number);
            let rows = codes.chunks_exact_mut(width * self.cell).skip(top).take(h).enumerate();
            for (y, codes) in rows {
                let codes = &mut codes[left * self.cell..][..w * self.cell];
                // Channels beyond the last one of a group meet weights of zero: any will do.
                let row = |i: usize| &input[((first + i).min(last) * h + y) * w..][..w];
                match (self.blocked, self.unit) {
                    (true, 4) => {
                        let rows = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
                        for (to, ((&a, &b), (&c, &d))) in codes.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
                            let unit = code(a) | code(b) << 8 | code(c) << 16 | code(d) << 24;
                            *to = unit.to_le_bytes();
                        }
                    }
                    (true, _) => {
                        let rows = row(0).iter().zip(row(1));
                        for (to, (&a, &b)) in codes.as_chunks_mut::<4>().0.iter_mut().zip(rows) {
                            *to = (code(a) | code(b) << 16).to_le_bytes();
                        }
                    }
                    (false, 4) => {
                        for (to, &value) in codes.iter_mut().zip(row(0)) {
                            *to = code(value).to_le_bytes()[0];
                        }
                    }
                    (false, _) => {
                        for (to, &value) in codes.as_chunks_mut::<2>().0.iter_mut().zip(row(0)) {
                            *to = [code(value).to_le_bytes()[0], 0];
                        }
                    }
                }
            }
        }
    }

    /// Fills all planes with one code.
    fn fill(&self, code: u8, codes: &mut [u8]) {
        if self.unit == 4 {
            codes.fill(code);
        } else {
            codes.as_chunks_mut::<2>().0.fill([code, 0]);
        }
    }

    /// The first and the last channel in a plane.
    fn channels(&self, plane: usize) -> [usize; 2] {
        if !self.blocked {
            return [plane; 2];
        }
        let channels = self.shape.input[0] / self.shape.groups;
        let (group, block) = (plane / self.planes, plane % self.planes);
        [block * self.unit, channels.min((block + 1) * self.unit) - 1]
            .map(|channel| group * channels + channel)
    }
}
