//! The resistive crossbar: against plain products, against closed forms of its distributions, and by hand.

mod arithmetic;
mod distributions;
mod specification;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use temper_core::hardware::{Crossbar, CrossbarBuffers, CrossbarSpec, ProgrammedCrossbar};
use temper_kernels::{ConvShape, Windows};

type Stream = ChaCha12Rng;

fn stream(seed: u64) -> Stream {
    ChaCha12Rng::seed_from_u64(seed)
}

fn ideal() -> CrossbarSpec {
    CrossbarSpec::default().ideal()
}

fn program(spec: &CrossbarSpec, shape: [usize; 2], weights: &[f32], seed: u64) -> ProgrammedCrossbar {
    spec.check().expect("a sound crossbar");
    ProgrammedCrossbar::new(Crossbar::draw(spec, shape, &mut stream(seed)), weights)
}

/// The outputs without noise for rows of inputs, and how many sums were beyond the range.
fn quiet(spec: &CrossbarSpec, shape: [usize; 2], weights: &[f32], inputs: &[f32]) -> (Vec<f32>, u64) {
    run(&program(spec, shape, weights, 1), shape, &Windows::of_rows(shape[1]), inputs, &mut [])
}

/// The outputs of images, and how many sums were beyond the range.
fn run(
    layer: &ProgrammedCrossbar,
    [outputs, inputs]: [usize; 2],
    windows: &Windows,
    images: &[f32],
    streams: &mut [Stream],
) -> (Vec<f32>, u64) {
    let mut found = vec![f32::NAN; images.len() / inputs * outputs];
    let saturated = layer.run(windows, images, &mut found, streams, &mut CrossbarBuffers::default());
    (found, saturated)
}

/// Images of so many positions, `[inputs, positions]`.
fn pixels(inputs: usize, positions: usize) -> Windows {
    Windows::of_convolution(&ConvShape {
        input: [inputs, 1, positions],
        out_channels: 1,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0; 4],
        dilation: [1, 1],
        groups: 1,
    })
}

fn numbers(count: usize, rng: &mut Stream) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0f32)).collect()
}

/// `Σ w x`, and `Σ |w x|` for the tolerance.
fn dot(weights: &[f32], inputs: &[f32]) -> [f64; 2] {
    let products = || weights.iter().zip(inputs).map(|(w, x)| f64::from(*w) * f64::from(*x));
    [products().sum(), products().map(f64::abs).sum()]
}

/// The largest magnitude.
fn largest(weights: &[f32]) -> f64 {
    f64::from(weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs())))
}
