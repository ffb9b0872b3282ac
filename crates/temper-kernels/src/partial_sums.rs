//! How large the partial sums of a product are: what its rounding errors follow from.

use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::Work;
use crate::pack::PackedWeights;
use crate::planes::{Fill, Planes};
use crate::product::{Lanes, Spot};
use crate::region::Region;
use crate::simd::Simd;
use crate::winograd::Rounding;

/// For every output of a convolution of one image: the magnitude of its chain's sum, and the magnitudes of all its partial sums added
/// up. A chain of fused multiply-adds errs by at most the unit roundoff times the latter (running error analysis; Higham, *Accuracy and
/// Stability of Numerical Algorithms*, 2nd ed., §3.3). Taps on padding add exact zeros, but count like all others.
///
/// With weights packed [for Winograd's algorithm](PackedWeights::with_winograd) the latter is raised, where it is less, to what that
/// algorithm errs by at most, in roundoffs to first order: so it holds whichever computes the output.
///
/// **Shapes**: `input` `[C, H, W]`, `sums` and `partial` `[out_channels, H', W']`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn conv2d_partial_sums(
    shape: &ConvShape,
    input: &[f32],
    weights: &PackedWeights,
    sums: &mut [f32],
    partial: &mut [f32],
    scratch: &mut Scratch,
) {
    shape.check(1, input, weights, sums);
    assert_eq!(sums.len(), partial.len(), "outputs must be [out_channels, H', W']");
    let [height, width] = shape.output();
    let whole = [Region::whole(0, [shape.out_channels, height, width])];
    let (isa, channels) = (weights.isa(), shape.input[0]);
    let planes = Planes::new(shape, &whole, Lanes::Channels, isa.lanes());
    let Scratch { planes: inputs, taps, spots, .. } = scratch;
    planes.list_taps(taps);
    spots.clear();
    planes.list_spots(&whole[0], 0, spots);
    let placed = if planes.start_in_input(&whole[0], 0).is_some() {
        input
    } else {
        let len = channels * planes.channel();
        inputs.grow(len);
        let output = &mut inputs.values_mut()[..len];
        isa.run(Fill { planes: &planes, regions: &whole, channels: 0..channels, input, output });
        inputs.values()
    };
    let group_len = channels / shape.groups * planes.channel();
    let reach = taps.iter().copied().max().unwrap_or(0);
    isa.run(Job {
        weights,
        taps,
        reach,
        input: placed,
        group_len,
        spots,
        plane: height * width,
        sums,
        partial,
    });
    if let Some(transformed) = weights.winograd() {
        isa.run(Rounding { shape, input, weights, transformed, bounds: partial, scratch });
    }
}

/// All outputs of one image.
struct Job<'a> {
    weights: &'a PackedWeights,
    taps: &'a [usize],
    /// The largest of them.
    reach: usize,
    /// With its padding, `group_len` values for each group.
    input: &'a [f32],
    group_len: usize,
    spots: &'a [Spot],
    /// Distance between channels in the output.
    plane: usize,
    sums: &'a mut [f32],
    partial: &'a mut [f32],
}

impl Work for Job<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        // Twice as many sums as pixels lie in registers.
        if S::LANES == 16 { self.tiles::<S, 8>() } else { self.tiles::<S, 4>() }
    }
}

impl Job<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const P: usize>(&mut self) {
        let rows = self.weights.rows();
        for group in 0..self.weights.groups() {
            for panel in 0..rows.div_ceil(S::LANES) {
                let first = panel * S::LANES;
                let live = S::LANES.min(rows - first);
                for spots in self.spots.chunks(P) {
                    let (sums, partial) = self.tile::<S, P>(group, panel, spots);
                    for (p, spot) in spots.iter().enumerate() {
                        let at = (group * rows + first) * self.plane + spot.output;
                        scatter::<S>(sums[p], live, self.plane, &mut self.sums[at..]);
                        scatter::<S>(partial[p], live, self.plane, &mut self.partial[at..]);
                    }
                }
            }
        }
    }

    /// One panel of channels at up to `P` spots; missing ones are computed as copies of the last.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds are checked once a tile, not once a tap")]
    fn tile<S: Simd, const P: usize>(
        &self,
        group: usize,
        panel: usize,
        spots: &[Spot],
    ) -> ([S::Vector; P], [S::Vector; P]) {
        let weights = self.weights.panels(group, panel);
        assert!(weights.len() >= self.taps.len() * S::LANES, "panels must be whole");
        let input = &self.input[group * self.group_len..];
        let mut pixels = [input.as_ptr(); P];
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let base = spots[i.min(spots.len() - 1)].input;
            assert!(base + self.reach < input.len(), "taps must lie in the input");
            *pixel = input[base..].as_ptr();
        }
        let (mut sums, mut partial) = ([S::splat(0.0); P], [S::splat(0.0); P]);
        let mut weights = weights.as_ptr();
        for &tap in self.taps {
            // SAFETY: the panel holds `LANES` weights for each tap.
            let w = unsafe { S::load(weights) };
            // SAFETY: at most one past the end of the panel.
            weights = unsafe { weights.add(S::LANES) };
            for (p, pixel) in pixels.iter().enumerate() {
                // SAFETY: no tap is beyond `reach`, and that lies in the input.
                let x = S::splat(unsafe { *pixel.add(tap) });
                sums[p] = S::fma(w, x, sums[p]);
                partial[p] = S::add(partial[p], S::abs(sums[p]));
            }
        }
        (sums.map(S::abs), partial)
    }
}

/// Stores the first `live` lanes `distance` apart.
#[inline(always)]
#[expect(unsafe_code, reason = "vector stores take pointers")]
fn scatter<S: Simd>(x: S::Vector, live: usize, distance: usize, to: &mut [f32]) {
    let mut lanes = [0.0; 16];
    // SAFETY: no vector holds more than sixteen values.
    unsafe { S::store(x, lanes.as_mut_ptr()) };
    for (to, &lane) in to.iter_mut().step_by(distance).zip(&lanes[..live]) {
        *to = lane;
    }
}
