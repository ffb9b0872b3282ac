//! The innermost loops: a few outputs at a few positions, row after row.

use super::{Cells, Features, PulseRows, WidthRounding};
use crate::isa::Work;
use crate::simd::Simd;

/// Positions of a tile: with two vectors of outputs and their energies, what 32 registers hold; with one, or without, 16.
const POSITIONS: usize = 6;

/// All sums of some images.
pub(super) struct Job<'a> {
    pub(super) rows: &'a PulseRows,
    pub(super) features: Features<'a>,
    /// `[images, outputs, positions]`.
    pub(super) sums: &'a mut [f32],
    pub(super) vanished: &'a mut u64,
}

/// A position of an image: where its inputs, normal numbers and sums start.
#[derive(Debug, Clone, Copy)]
struct Place {
    input: usize,
    normals: usize,
    sums: usize,
}

impl Work for Job<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut job = self;
        match (&job.rows.cells, job.features.normals) {
            (Cells::Shared(_), None) => job.run_all::<S, false, false>(),
            (Cells::Shared(_), Some(_)) => job.run_all::<S, false, true>(),
            (Cells::Own(_), None) => job.run_all::<S, true, false>(),
            (Cells::Own(_), Some(_)) => job.run_all::<S, true, true>(),
        }
    }
}

impl Job<'_> {
    #[inline(always)]
    fn run_all<S: Simd, const OWN: bool, const NOISY: bool>(&mut self) {
        let panels = self.rows.outputs().div_ceil(S::LANES);
        let most = if OWN && NOISY && S::LANES == 8 { 1 } else { S::VECTORS.min(2) };
        let count = self.sums.len() / self.rows.outputs();
        let mut panel = 0;
        while panel < panels {
            let vectors = most.min(panels - panel);
            for first in (0..count).step_by(POSITIONS) {
                let live = POSITIONS.min(count - first);
                match (vectors, live) {
                    (1, 1) => self.tile::<S, 1, 1, OWN, NOISY>(panel, first, live),
                    (1, _) => self.tile::<S, 1, POSITIONS, OWN, NOISY>(panel, first, live),
                    (_, 1) => self.tile::<S, 2, 1, OWN, NOISY>(panel, first, live),
                    _ => self.tile::<S, 2, POSITIONS, OWN, NOISY>(panel, first, live),
                }
            }
            panel += vectors;
        }
    }

    /// Position `number` of all images.
    #[inline(always)]
    fn place(&self, number: usize) -> Place {
        let Features { windows, .. } = self.features;
        let (positions, outputs) = (windows.positions(), self.rows.outputs());
        let (image, position) = (number / positions, number % positions);
        Place {
            input: image * windows.placed_len() + windows.bases()[position],
            normals: (image * self.rows.rows() * positions + position) * outputs,
            sums: image * outputs * positions + position,
        }
    }

    /// `V` panels of outputs at `P` positions, of which the last ones are copies where fewer are `live`.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const P: usize, const OWN: bool, const NOISY: bool>(
        &mut self,
        panel: usize,
        first: usize,
        live: usize,
    ) {
        let mut places = [Place { input: 0, normals: 0, sums: 0 }; P];
        for (i, place) in places.iter_mut().enumerate() {
            *place = self.place(first + i.min(live - 1));
        }
        let inputs = places.map(|place| place.input);
        let mut totals = [[S::splat(0.0); P]; V];
        for row in 0..self.rows.rows() {
            let [mut changes, energies] = self.multiply::<S, V, P, OWN, NOISY>(panel, row, &inputs);
            for v in 0..V {
                let ends = self.ends::<S>(panel + v, row);
                for (p, place) in places.iter().enumerate() {
                    if NOISY {
                        let energy = energies[if OWN { v } else { 0 }][p];
                        let noise = self.noise::<S>(panel + v, row, place.normals, energy);
                        changes[v][p] = S::add(changes[v][p], noise);
                    }
                    let pulse = S::add(ends[0], changes[v][p]);
                    let vanished = S::below_zero(pulse) & self.lanes::<S>(panel + v);
                    *self.vanished += u64::from(if p < live { vanished.count_ones() } else { 0 });
                    let width = self.round::<S>(S::div(S::above_zero(pulse), ends[1]));
                    totals[v][p] = S::add(totals[v][p], S::sub(width, ends[2]));
                }
            }
        }
        for (v, totals) in totals.iter().enumerate() {
            self.store::<S>(panel + v, &totals[..live], &places);
        }
    }

    /// One bit for each lane of a panel that is an output.
    #[inline(always)]
    fn lanes<S: Simd>(&self, panel: usize) -> u32 {
        (1 << S::LANES.min(self.rows.outputs() - panel * S::LANES)) - 1
    }

    /// Stores the sums of a panel.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector stores take pointers")]
    fn store<S: Simd>(&mut self, panel: usize, totals: &[S::Vector], places: &[Place]) {
        let positions = self.features.windows.positions();
        let outputs = panel * S::LANES..self.rows.outputs().min((panel + 1) * S::LANES);
        for (total, place) in totals.iter().zip(places) {
            let mut values = [0.0; 16];
            // SAFETY: no vector is longer.
            unsafe { S::store(*total, values.as_mut_ptr()) };
            for (value, output) in values.iter().zip(outputs.clone()) {
                self.sums[place.sums + output * positions] = *value;
            }
        }
    }

    /// The products of one row's features with the weights, and with `NOISY` their energies: where cells are shared, those are in the first
    /// vector.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds are checked once a row, not once an input")]
    fn multiply<S: Simd, const V: usize, const P: usize, const OWN: bool, const NOISY: bool>(
        &self,
        panel: usize,
        row: usize,
        places: &[usize; P],
    ) -> [[[S::Vector; P]; V]; 2] {
        let PulseRows { weights, cells, width, .. } = self.rows;
        let Features { placed, windows, .. } = self.features;
        let taps = windows.taps();
        let places = places.map(|place| {
            assert!(place + windows.reach() < placed.len(), "taps must lie in the image");
            placed[place..].as_ptr()
        });
        let own = row * width..taps.len().min((row + 1) * width);
        let length = weights.columns() * S::LANES;
        let of_row = |weights: &'_ [f32]| {
            assert!(weights.len() >= V * length, "panels must be whole");
            weights[own.start * S::LANES..].as_ptr()
        };
        let signed = of_row(weights.panels(0, panel));
        let (factors, squares) = match cells {
            Cells::Shared(factors) => (&factors[own.clone()], signed),
            Cells::Own(squares) => (&[][..], of_row(squares.panels(0, panel))),
        };
        let (mut sums, mut energies) = ([[S::splat(0.0); P]; V], [[S::splat(0.0); P]; V]);
        for (i, &tap) in taps[own].iter().enumerate() {
            let load = |from: *const f32| {
                // SAFETY: each of the panels holds `LANES` weights for each tap.
                std::array::from_fn::<_, V, _>(|v| unsafe { S::load(from.add(v * length + i * S::LANES)) })
            };
            let signed = load(signed);
            let squares = if OWN && NOISY { load(squares) } else { signed };
            let factor = S::splat(if OWN { 1.0 } else { factors[i] });
            for (p, place) in places.iter().enumerate() {
                // SAFETY: no tap is beyond the reach, and that lies in the image.
                let x = S::splat(unsafe { *place.add(tap) });
                let x = if OWN { x } else { S::mul(x, factor) };
                for v in 0..V {
                    sums[v][p] = S::fma(signed[v], x, sums[v][p]);
                }
                if NOISY {
                    let square = S::mul(x, x);
                    if OWN {
                        for v in 0..V {
                            energies[v][p] = S::fma(squares[v], square, energies[v][p]);
                        }
                    } else {
                        energies[0][p] = S::add(energies[0][p], square);
                    }
                }
            }
        }
        if self.rows.mean != 1.0 {
            let mean = S::splat(self.rows.mean);
            sums = sums.map(|sums| sums.map(|sum| S::mul(sum, mean)));
        }
        [sums, energies]
    }

    /// The noise of a row's cells.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    fn noise<S: Simd>(&self, panel: usize, row: usize, place: usize, energy: S::Vector) -> S::Vector {
        let (first, outputs) = (panel * S::LANES, self.rows.outputs());
        let at = place + row * self.features.windows.positions() * outputs + first;
        let own = &self.features.normals.unwrap_or_default()[at..][..S::LANES.min(outputs - first)];
        // SAFETY: the slice holds that many.
        let normals = unsafe {
            if own.len() == S::LANES { S::load(own.as_ptr()) } else { S::load_first(own.as_ptr(), own.len()) }
        };
        S::mul(S::mul(S::splat(self.rows.sigma), S::sqrt(energy)), normals)
    }

    /// What the ends of a row do: start, quantiser and zero, by outputs.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    fn ends<S: Simd>(&self, panel: usize, row: usize) -> [S::Vector; 3] {
        let at = row * self.rows.outputs().next_multiple_of(S::LANES) + panel * S::LANES;
        std::array::from_fn(|i| {
            let own = &self.rows.ends[i][at..][..S::LANES];
            // SAFETY: the slice holds a vector.
            unsafe { S::load(own.as_ptr()) }
        })
    }

    #[inline(always)]
    fn round<S: Simd>(&self, width: S::Vector) -> S::Vector {
        match self.rows.rounding {
            WidthRounding::Floor => S::floor(width),
            WidthRounding::Nearest => S::nearest(width),
            WidthRounding::None => width,
        }
    }
}
