//! Gradients of a convolution's weights where there are few output channels: vectors hold neighbouring pixels.
//!
//! Each weight has sixteen sums, one for each place in a vector of pixels, which are added up last. Narrower vectors compute the first
//! eight of them and then the others, so that the bits are the same for all instruction sets.

use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::{Isa, Work};
use crate::planes::{Fill, Planes};
use crate::product::{Lanes, Spot};
use crate::region::Region;
use crate::simd::Simd;

/// Sums of a weight: the values of the widest vector.
const PLACES: usize = 16;

/// Whether vectors of pixels take less time than vectors of channels. It is decided for the widest vectors, whatever the instruction
/// set, because the order of the sums hangs on it.
pub(super) fn is_better(shape: &ConvShape) -> bool {
    let [height, width] = shape.output();
    let rows = shape.out_channels / shape.groups;
    // In quarters of a multiply-add; windows of pixels lie across cache lines.
    5 * rows * height * width.div_ceil(PLACES) < 4 * rows.div_ceil(PLACES) * height * width
}

/// As [`conv2d_weight_gradient`](super::conv2d_weight_gradient), whose checks have been made.
pub(super) fn add(
    isa: Isa,
    shape: &ConvShape,
    images: &[Region],
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let Scratch { planes: inputs, taps, spots, sums, .. } = scratch;
    let planes = Planes::new(shape, images, Lanes::Pixels, PLACES);
    planes.list_taps(taps);
    let (in_group, out_group) = (shape.input[0] / shape.groups, shape.out_channels / shape.groups);
    let image = shape.input[0] * planes.channel();
    inputs.grow(image);
    sums.grow(weight_gradient.len() * PLACES);
    let sums = &mut sums.values_mut()[..weight_gradient.len() * PLACES];
    sums.fill(0.0);
    let plane: usize = shape.output().iter().product();
    for region in images {
        let output = &mut inputs.values_mut()[..image];
        let regions = std::slice::from_ref(region);
        isa.run(Fill { planes: &planes, regions, channels: 0..shape.input[0], input, output });
        spots.clear();
        planes.list_spots(region, 0, spots);
        for (group, sums) in sums.chunks_exact_mut(out_group * taps.len() * PLACES).enumerate() {
            let input = &inputs.values()[group * in_group * planes.channel()..];
            let gradient = &output_gradient[group * out_group * plane..];
            isa.run(Pass { input, taps, spots, gradient, plane, sums });
        }
    }
    for (gradient, sums) in weight_gradient.iter_mut().zip(sums.as_chunks::<PLACES>().0) {
        *gradient += total(*sums);
    }
}

/// Halves added up, until one value is left.
fn total(mut sums: [f32; PLACES]) -> f32 {
    let mut half = PLACES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The products of one group of one image.
struct Pass<'a> {
    /// The group's inputs.
    input: &'a [f32],
    /// Where each weight's inputs start.
    taps: &'a [usize],
    /// Up to [`PLACES`] neighbouring outputs each.
    spots: &'a [Spot],
    /// The output gradient from the group's first channel on.
    gradient: &'a [f32],
    /// Distance between its channels.
    plane: usize,
    /// `[rows, taps, PLACES]`.
    sums: &'a mut [f32],
}

impl Work for Pass<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let (width, rows) = (self.taps.len(), self.sums.len() / self.taps.len() / PLACES);
        for place in (0..PLACES).step_by(S::LANES) {
            let mut row = 0;
            while row < rows {
                let (height, together) = tile::<S>(rows - row);
                for tap in (0..width).step_by(together) {
                    self.add_tile::<S>(place, row, height, tap);
                }
                row += height;
            }
        }
    }
}

/// Rows, of `left`, and taps whose sums the registers hold.
const fn tile<S: Simd>(left: usize) -> (usize, usize) {
    match (S::LANES, left) {
        (_, 1) => (1, 8),
        (16, 2 | 3) => (2, 8),
        (16, 4 | 5) => (4, 6),
        (16, _) => (6, 4),
        (_, 2) => (2, 4),
        _ => (3, 3),
    }
}

impl Pass<'_> {
    #[inline(always)]
    fn add_tile<S: Simd>(&mut self, place: usize, row: usize, rows: usize, tap: usize) {
        match (S::LANES, rows) {
            (_, 1) => self.multiply::<S, 1, 8>(place, row, tap),
            (16, 2) => self.multiply::<S, 2, 8>(place, row, tap),
            (16, 4) => self.multiply::<S, 4, 6>(place, row, tap),
            (16, _) => self.multiply::<S, 6, 4>(place, row, tap),
            (_, 2) => self.multiply::<S, 2, 4>(place, row, tap),
            _ => self.multiply::<S, 3, 3>(place, row, tap),
        }
    }

    /// Adds the products of `R` rows and `C` taps at the places of one vector. Missing taps are computed as copies of the last.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds are checked once a spot, not once a tap")]
    #[expect(
        clippy::needless_range_loop,
        reason = "with iterators the compiler keeps the sums in memory, at half the speed"
    )]
    fn multiply<S: Simd, const R: usize, const C: usize>(&mut self, place: usize, row: usize, tap: usize) {
        let taps: [usize; C] = std::array::from_fn(|c| self.taps[(tap + c).min(self.taps.len() - 1)]);
        let reach = taps.into_iter().max().unwrap_or(0);
        let mut sums = [[S::splat(0.0); C]; R];
        for spot in self.spots.iter().filter(|spot| spot.count > place) {
            let count = S::LANES.min(spot.count - place);
            let first = spot.output + row * self.plane + place;
            let gradient = &self.gradient[first..][..(R - 1) * self.plane + count];
            let input = &self.input[spot.input + place..][..reach + count];
            let (gradient, input) = (gradient.as_ptr(), input.as_ptr());
            // SAFETY: no tap is beyond `reach` and no row beyond the last, and behind both `count` values lie in the slices.
            unsafe {
                if count == S::LANES {
                    add_products::<S, R, C, true>(gradient, self.plane, input, taps, count, &mut sums);
                } else {
                    add_products::<S, R, C, false>(gradient, self.plane, input, taps, count, &mut sums);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                if tap + c >= self.taps.len() {
                    break;
                }
                let at = ((row + r) * self.taps.len() + tap + c) * PLACES + place;
                let to = self.sums[at..][..S::LANES].as_mut_ptr();
                // SAFETY: the slice is a vector.
                unsafe { S::store(S::add(S::load(to), sums[r][c]), to) };
            }
        }
    }
}

/// `sums[row][tap] += gradient[row · plane] · input[taps[tap]]`, of the first `count` places of a vector, or of all where it is `FULL`.
///
/// # Safety
/// So many values must be readable at all these places.
#[inline(always)]
#[expect(unsafe_code, reason = "vector loads take pointers")]
unsafe fn add_products<S: Simd, const R: usize, const C: usize, const FULL: bool>(
    gradient: *const f32,
    plane: usize,
    input: *const f32,
    taps: [usize; C],
    count: usize,
    sums: &mut [[S::Vector; C]; R],
) {
    let mut x = [S::splat(0.0); C];
    for (x, tap) in x.iter_mut().zip(taps) {
        // SAFETY: the caller's promise.
        *x = unsafe {
            let at = input.add(tap);
            if FULL { S::load(at) } else { S::load_first(at, count) }
        };
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let dy = unsafe {
            let at = gradient.add(r * plane);
            if FULL { S::load(at) } else { S::load_first(at, count) }
        };
        for c in 0..C {
            sums[c] = S::fma(dy, x[c], sums[c]);
        }
    }
}
