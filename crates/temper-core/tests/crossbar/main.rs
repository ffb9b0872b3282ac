//! The resistive crossbar: against plain products, against closed forms of its distributions, and by hand.

mod arithmetic;
mod distributions;
mod specification;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use temper_core::hardware::{Crossbar, CrossbarSpec, ProgrammedCrossbar};

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

/// The outputs without noise, and how many sums were beyond the range.
fn quiet(spec: &CrossbarSpec, shape: [usize; 2], weights: &[f32], inputs: &[f32]) -> (Vec<f32>, u64) {
    let mut outputs = vec![f32::NAN; inputs.len() / shape[1] * shape[0]];
    let saturated = program(spec, shape, weights, 1).run::<Stream>(inputs, &mut outputs, &mut []);
    (outputs, saturated)
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
