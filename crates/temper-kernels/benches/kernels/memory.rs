//! Operators of training that do little with each value.

use temper_kernels::{
    Moments, PoolShape, batch_norm, batch_norm_gradient_sums, batch_norm_input_gradient, channel_moments,
    channel_sums, max_pool2d_gradient, relu_gradient,
};

use crate::layers::ordinary;
use crate::peak::best;

const IMAGES: usize = 8;
const CHANNELS: usize = 64;
const SIDE: usize = 32;

/// Values per nanosecond of the operators whose name contains `filter`, on 8 images of 64 × 32 × 32: they fit the second cache.
pub(crate) fn rates(filter: &str) -> Vec<(&'static str, f64)> {
    let plane = SIDE * SIDE;
    let values = IMAGES * CHANNELS * plane;
    let (x, y, mut to) = (ordinary(values), ordinary(values), vec![0.0; values]);
    let channel = ordinary(CHANNELS);
    let mut gradient = ordinary(values);
    let (mut sums, mut pairs) = (vec![0.0; CHANNELS], vec![[0.0; 2]; CHANNELS]);
    let mut moments = vec![Moments::default(); CHANNELS];
    let pool = PoolShape {
        input: [SIDE; 2],
        output: [SIDE / 2; 2],
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 4],
        dilation: [1; 2],
    };
    let mut found = Vec::new();
    let mut time = |name: &'static str, run: &mut dyn FnMut()| {
        if name.contains(filter) {
            found.push((name, values as f64 / best(run) * 1e-9));
        }
    };
    time("channel sums", &mut || channel_sums(plane, &x, &mut sums));
    time("channel moments", &mut || channel_moments(plane, &x, &mut moments));
    time("batch norm, residual, ReLU", &mut || {
        batch_norm(plane, &channel, &channel, &channel, Some(&y), true, &x, &mut to);
    });
    time("batch norm gradient, sums", &mut || {
        batch_norm_gradient_sums(plane, &channel, &channel, &x, Some(&y), &mut gradient, &mut pairs);
    });
    time("batch norm gradient, input", &mut || {
        batch_norm_input_gradient(plane, &channel, &channel, &channel, 1e4, &pairs, &x, &y, &mut to);
    });
    time("ReLU gradient", &mut || relu_gradient(&x, &mut gradient));
    time("max pool gradient, 2x2", &mut || max_pool2d_gradient(&pool, &x, &y[..values / 4], &mut to));
    found
}
