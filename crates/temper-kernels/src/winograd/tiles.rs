//! The tiles of some regions, a block of them at a time: their inputs transformed, multiplied and transformed back.

use std::ops::Range;

use super::{LARGEST_INPUT, POINTS, TILE, TransformedWeights, WINDOW, transform};
use crate::Scratch;
use crate::conv::ConvShape;
use crate::isa::Work;
use crate::panels::RowPanels;
use crate::region::Region;
use crate::simd::Simd;
use crate::store::Store;

/// Tiles that are multiplied with one point's weights before the next's: a multiple of as many as are multiplied at once. More gain nothing.
const BLOCK: usize = 48;

/// Regions of the same channels.
pub(super) struct Tiles<'a> {
    pub(super) shape: &'a ConvShape,
    /// `[images, C, H, W]`.
    pub(super) input: &'a [f32],
    pub(super) weights: &'a TransformedWeights,
    pub(super) regions: &'a [Region],
    pub(super) store: Store<'a>,
    /// Receives the parts that are to be computed directly.
    pub(super) directly: &'a mut Vec<Region>,
    /// `planes`: the inputs of a region with their padding, `[panels, height, width, LANES]`, lanes being channels. `panels`: transformed
    /// inputs, `[tiles, POINTS, C]`, C being whole panels. `sums`: `[tiles, panels, POINTS, LANES]`.
    pub(super) scratch: &'a mut Scratch,
}

/// Where a tile's outputs go.
struct Tile {
    /// Place of its first output in channel 0.
    output: usize,
    /// Which of its outputs are wanted.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Tile {
    /// Whether the other's outputs follow this one's in every row.
    fn is_before(&self, next: &Self) -> bool {
        self.columns.end == TILE
            && next.columns.start == 0
            && self.rows == next.rows
            && next.output == self.output + TILE
    }
}

/// Height, width and place of a region's tiles.
#[derive(Clone, Copy)]
struct Grid {
    /// Row and column of the first output.
    first: [usize; 2],
    /// Numbers of tiles.
    tiles: [usize; 2],
}

impl Grid {
    fn new(region: &Region) -> Self {
        let axes = [&region.rows, &region.columns];
        let first = axes.map(|range| range.start / TILE);
        let end = axes.map(|range| range.end.div_ceil(TILE));
        Self { first: first.map(|tile| tile * TILE), tiles: [end[0] - first[0], end[1] - first[1]] }
    }

    /// Height and width of the inputs that the tiles see.
    fn window(&self) -> [usize; 2] {
        self.tiles.map(|tiles| tiles * TILE + WINDOW - TILE)
    }
}

impl Work for Tiles<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self) {
        let depth = self.weights.inputs().next_multiple_of(S::LANES);
        self.scratch.panels.grow(BLOCK * POINTS * depth);
        let mut tiles = Vec::with_capacity(BLOCK);
        for region in self.regions.iter().filter(|region| !region.is_empty()) {
            let grid = Grid::new(region);
            let has_large = self.fill::<S>(region.image, grid);
            for y in 0..grid.tiles[0] {
                for x in 0..grid.tiles[1] {
                    let [row, column] = [grid.first[0] + y * TILE, grid.first[1] + x * TILE];
                    let wanted = |range: &Range<usize>, first: usize| {
                        range.start.max(first) - first..range.end.min(first + TILE) - first
                    };
                    let (rows, columns) = (wanted(&region.rows, row), wanted(&region.columns, column));
                    if has_large && self.is_large::<S>(grid, [y, x]) {
                        let part = |range: Range<usize>, first: usize| range.start + first..range.end + first;
                        let (rows, columns) = (part(rows, row), part(columns, column));
                        self.directly.push(Region { rows, columns, ..region.clone() });
                        continue;
                    }
                    self.transform::<S>(grid, [y, x], tiles.len());
                    let [height, width] = self.shape.output();
                    let image = region.image * self.shape.out_channels * height;
                    tiles.push(Tile { output: (image + row) * width + column, rows, columns });
                    if tiles.len() == BLOCK {
                        self.multiply::<S>(&tiles);
                        tiles.clear();
                    }
                }
            }
        }
        self.multiply::<S>(&tiles);
    }
}

impl Tiles<'_> {
    /// Copies the inputs that a region's tiles see, with zeros around them; says whether any in its rows is too large.
    #[inline(always)]
    fn fill<S: Simd>(&mut self, image: usize, grid: Grid) -> bool {
        let ConvShape { input: [channels, h, w], padding: [top, left, ..], .. } = *self.shape;
        let [height, width] = grid.window();
        let panel = height * width * S::LANES;
        self.scratch.planes.grow(channels.div_ceil(S::LANES) * panel);
        let window = self.scratch.planes.values_mut();
        let image = &self.input[image * channels * h * w..][..channels * h * w];
        // The window's rows and columns that lie in the input, and where they start there.
        let inside = |axis: usize, before: usize, extent: usize, size: usize| {
            let start = before.saturating_sub(grid.first[axis]);
            let end = size.min((extent + before).saturating_sub(grid.first[axis]));
            (start..end.max(start), (grid.first[axis] + start).saturating_sub(before))
        };
        let (rows, first_row) = inside(0, top, h, height);
        let (columns, first_column) = inside(1, left, w, width);
        for panel in window.chunks_exact_mut(panel).take(channels.div_ceil(S::LANES)) {
            for (row, line) in panel.chunks_exact_mut(width * S::LANES).enumerate() {
                if rows.contains(&row) {
                    line[..columns.start * S::LANES].fill(0.0);
                    line[columns.end * S::LANES..].fill(0.0);
                } else {
                    line.fill(0.0);
                }
            }
        }
        for row in rows.clone() {
            let from = &image[(first_row + row - rows.start) * w + first_column..];
            let to = &mut window[(row * width + columns.start) * S::LANES..];
            RowPanels { from, rows: channels, columns: columns.len(), distance: h * w, to, panel }.run::<S>();
        }
        let seen = |plane: &[f32]| largest(&plane[first_row * w..][..rows.len() * w]);
        let largest = image.chunks_exact(h * w).map(seen).max();
        largest > Some(LARGEST_INPUT.to_bits())
    }

    /// Whether a tile sees an input that is too large or not a number.
    #[inline(always)]
    fn is_large<S: Simd>(&self, grid: Grid, [y, x]: [usize; 2]) -> bool {
        let [height, width] = grid.window();
        let panels = self.scratch.planes.values().chunks_exact(height * width * S::LANES);
        panels.take(self.weights.inputs().div_ceil(S::LANES)).any(|panel| {
            (0..WINDOW).any(|row| {
                let start = ((y * TILE + row) * width + x * TILE) * S::LANES;
                largest(&panel[start..][..WINDOW * S::LANES]) > LARGEST_INPUT.to_bits()
            })
        })
    }

    /// Transforms the inputs of a tile, to place `slot`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds are checked once a tile and panel, not once a vector")]
    fn transform<S: Simd>(&mut self, grid: Grid, [y, x]: [usize; 2], slot: usize) {
        let [height, width] = grid.window();
        let panels = self.weights.inputs().div_ceil(S::LANES);
        let depth = panels * S::LANES;
        let inputs = &mut self.scratch.panels.values_mut()[slot * POINTS * depth..][..POINTS * depth];
        for (panel, window) in
            self.scratch.planes.values().chunks_exact(height * width * S::LANES).take(panels).enumerate()
        {
            let window = &window[(y * TILE * width + x * TILE) * S::LANES..];
            assert!(window.len() >= ((WINDOW - 1) * width + WINDOW) * S::LANES, "a tile lies in its window");
            let to = &mut inputs[panel * S::LANES..];
            assert!(to.len() >= (POINTS - 1) * depth + S::LANES, "every point has its vector");
            // SAFETY: the last vectors lie in the slices.
            unsafe {
                transform::input::<S, transform::Input>(
                    window.as_ptr(),
                    width * S::LANES,
                    to.as_mut_ptr(),
                    depth,
                );
            }
        }
    }

    /// Computes the outputs of a block of tiles.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, tiles: &[Tile]) {
        let Some(region) = self.regions.first().filter(|_| !tiles.is_empty()) else { return };
        let end = region.channels.end.div_ceil(S::LANES);
        let mut panel = region.channels.start / S::LANES;
        while panel < end {
            let vectors = S::VECTORS.min(2).min(end - panel);
            self.products::<S>(tiles.len(), panel, vectors);
            for v in 0..vectors {
                let before = (panel + v) * S::LANES;
                let live = S::LANES.min(self.weights.rows() - before);
                let wanted =
                    region.channels.start.saturating_sub(before)..live.min(region.channels.end - before);
                self.outputs::<S>(tiles, (before, live), &wanted, (v, vectors));
            }
            panel += vectors;
        }
    }

    /// Multiplies the inputs of a block with some panels of weights, point by point, so that these are read once a block.
    #[inline(always)]
    fn products<S: Simd>(&mut self, tiles: usize, panel: usize, vectors: usize) {
        self.scratch.sums.grow(tiles * vectors * POINTS * S::LANES);
        let (depth, inputs) = (self.weights.inputs(), self.scratch.panels.values());
        let sums = self.scratch.sums.values_mut();
        for point in 0..POINTS {
            let weights = self.weights.panels(point, panel);
            let products = Products { weights, inputs, depth, point, tiles };
            match (S::LANES, vectors) {
                (16, 1) => products.run::<S, 1, 16>(sums),
                (16, _) => products.run::<S, 2, 8>(sums),
                (_, 1) => products.run::<S, 1, 8>(sums),
                _ => products.run::<S, 2, 6>(sums),
            }
        }
    }

    /// Transforms the sums of one panel back and stores them: those of neighbours together, in whole cache lines.
    #[inline(always)]
    fn outputs<S: Simd>(
        &mut self,
        tiles: &[Tile],
        channels: (usize, usize),
        wanted: &Range<usize>,
        (v, vectors): (usize, usize),
    ) {
        let [_, width] = self.shape.output();
        let mut first = 0;
        for run in tiles.chunk_by(Tile::is_before).flat_map(|run| run.chunks(4)) {
            let mut outputs = [[[S::splat(0.0); TILE]; TILE]; 4];
            for (i, outputs) in outputs.iter_mut().enumerate().take(run.len()) {
                *outputs = self.outputs_of::<S>((first + i) * vectors + v);
            }
            first += run.len();
            let columns = run[0].columns.start..(run.len() - 1) * TILE + run[run.len() - 1].columns.end;
            for row in run[0].rows.clone() {
                let start = run[0].output + row * width;
                let mut line = [S::splat(0.0); 4 * TILE];
                for (line, output) in line.as_chunks_mut::<TILE>().0.iter_mut().zip(&outputs) {
                    *line = output[row];
                }
                self.store.row::<S>(channels, wanted.clone(), start + columns.start, &line[columns.clone()]);
            }
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "vector loads take pointers")]
    fn outputs_of<S: Simd>(&self, place: usize) -> [[S::Vector; TILE]; TILE] {
        let sums = &self.scratch.sums.values()[place * POINTS * S::LANES..][..POINTS * S::LANES];
        // SAFETY: the slice is that many vectors.
        unsafe { transform::output::<S, transform::Output>(sums.as_ptr()) }
    }
}

/// The products of one point.
#[derive(Clone, Copy)]
struct Products<'a> {
    /// Panels `[depth, LANES]`.
    weights: &'a [f32],
    /// `[tiles, POINTS, depth]`, depth being whole panels.
    inputs: &'a [f32],
    depth: usize,
    point: usize,
    tiles: usize,
}

impl Products<'_> {
    /// Multiplies `V` panels with all tiles, `P` at a time; missing ones are computed as copies of the last. `sums` is
    /// `[tiles, V, POINTS, LANES]`. Unlike in `tile`, inputs lie one behind the other and tiles equally far apart, so there is no list of either,
    /// and sums go to their place at once.
    #[inline(always)]
    #[expect(unsafe_code, reason = "bounds are checked once a point, not once a product")]
    fn run<S: Simd, const V: usize, const P: usize>(self, sums: &mut [f32]) {
        let Self { weights, inputs, depth, point, tiles } = self;
        let panel = depth * S::LANES;
        let (from, to) = (POINTS * depth.next_multiple_of(S::LANES), V * POINTS * S::LANES);
        assert!(weights.len() >= V * panel, "panels must be whole");
        assert!(inputs.len() >= tiles * from && sums.len() >= tiles * to, "every tile has its place");
        let inputs = inputs[point * depth.next_multiple_of(S::LANES)..].as_ptr();
        let sums = sums[point * S::LANES..].as_mut_ptr();
        for first in (0..tiles).step_by(P) {
            let mut pixels = [inputs; P];
            for (i, pixel) in pixels.iter_mut().enumerate() {
                // SAFETY: every tile's inputs lie in the slice.
                *pixel = unsafe { inputs.add((first + i).min(tiles - 1) * from) };
            }
            let mut local = [[S::splat(0.0); P]; V];
            for channel in 0..depth {
                for (p, pixel) in pixels.iter().enumerate() {
                    // SAFETY: a tile has `depth` inputs.
                    let x = S::splat(unsafe { *pixel.add(channel) });
                    for (v, local) in local.iter_mut().enumerate() {
                        // SAFETY: each of the panels has `LANES` weights a channel.
                        let w = unsafe { S::load(weights.as_ptr().add(v * panel + channel * S::LANES)) };
                        local[p] = S::fma(w, x, local[p]);
                    }
                }
            }
            for (v, local) in local.iter().enumerate() {
                for (i, &sum) in local.iter().enumerate() {
                    let at = (first + i).min(tiles - 1) * to + v * POINTS * S::LANES;
                    // SAFETY: every tile has a place for every panel's sums.
                    unsafe { S::store(sum, sums.add(at)) };
                }
            }
        }
    }
}

/// The bits of the largest magnitude; those of any NaN are larger than those of every number.
#[inline(always)]
fn largest(values: &[f32]) -> u32 {
    values.iter().fold(0, |largest, value| largest.max(value.abs().to_bits()))
}
