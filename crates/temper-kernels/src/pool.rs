//! Max and average pooling.

/// The geometry of a pooling operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Height and width of an input plane.
    pub input: [usize; 2],
    /// Height and width of an output plane.
    pub output: [usize; 2],
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Vertical and horizontal distance between window taps.
    pub dilation: [usize; 2],
}

impl PoolShape {
    /// Rows (or columns) of the input under output row (or column) `at`.
    fn taps(&self, direction: usize, at: usize) -> impl Iterator<Item = usize> + use<> {
        let (stride, dilation, extent) =
            (self.stride[direction], self.dilation[direction], self.input[direction]);
        let before = self.padding[direction];
        (0..self.kernel[direction])
            .filter_map(move |tap| (at * stride + tap * dilation).checked_sub(before))
            .filter(move |&place| place < extent)
    }
}

/// The largest value under each window of each plane; NaN wins.
///
/// **Shapes**: `input` `[planes, H, W]`, `output` `[planes, H', W']`.
pub fn max_pool2d(shape: &PoolShape, input: &[f32], output: &mut [f32]) {
    let larger = |largest: f32, x: f32| if x > largest || x.is_nan() { x } else { largest };
    let [h, w] = shape.input;
    let [oh, ow] = shape.output;
    let halving = shape.kernel == [2, 2] && shape.stride == [2, 2] && shape.padding == [0; 4];
    if halving && shape.dilation == [1, 1] && 2 * oh <= h && 2 * ow <= w {
        for (plane, output) in input.chunks_exact(h * w).zip(output.chunks_exact_mut(oh * ow)) {
            for (rows, output) in plane.chunks_exact(2 * w).zip(output.chunks_exact_mut(ow)) {
                let (upper, lower) = rows.split_at(w);
                let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
                for (out, (u, l)) in output.iter_mut().zip(pairs) {
                    *out = larger(larger(larger(u[0], u[1]), l[0]), l[1]);
                }
            }
        }
        return;
    }
    for_each_window(shape, input, output, |plane, y, x| {
        let rows = shape.taps(0, y);
        rows.flat_map(|row| shape.taps(1, x).map(move |column| row * w + column))
            .fold(f32::NEG_INFINITY, |largest, at| larger(largest, plane[at]))
    });
}

/// The mean under each window of each plane. `count_padding` says whether padding counts in the divisor; what a window
/// reaches beyond the padding never does, as in PyTorch.
///
/// **Shapes**: `input` `[planes, H, W]`, `output` `[planes, H', W']`.
pub fn avg_pool2d(shape: &PoolShape, count_padding: bool, input: &[f32], output: &mut [f32]) {
    let [_, w] = shape.input;
    let span = |direction: usize, at: usize| {
        let [before, after] = [shape.padding[direction], shape.padding[direction + 2]];
        let start = at * shape.stride[direction];
        shape.kernel[direction].min(shape.input[direction] + before + after - start)
    };
    for_each_window(shape, input, output, |plane, y, x| {
        let rows = shape.taps(0, y);
        let sum: f32 = rows
            .flat_map(|row| shape.taps(1, x).map(move |column| row * w + column))
            .map(|at| plane[at])
            .sum();
        let divisor = if count_padding {
            span(0, y) * span(1, x)
        } else {
            shape.taps(0, y).count() * shape.taps(1, x).count()
        };
        sum / divisor as f32
    });
}

fn for_each_window(
    shape: &PoolShape,
    input: &[f32],
    output: &mut [f32],
    window: impl Fn(&[f32], usize, usize) -> f32,
) {
    let [h, w] = shape.input;
    let [oh, ow] = shape.output;
    for (plane, output) in input.chunks_exact(h * w).zip(output.chunks_exact_mut(oh * ow)) {
        for (i, out) in output.iter_mut().enumerate() {
            *out = window(plane, i / ow, i % ow);
        }
    }
}
