//! Optimisers against PyTorch (`fixtures/training`), through interruptions, and on hostile settings and state.

mod support;

use serde::Deserialize;
use temper_train::optimizer::{Optimizer, OptimizerSpec};

use support::fixture;

#[derive(Deserialize)]
struct Fixture {
    start: Vec<f32>,
    kept_steps: Vec<usize>,
    gradients: Vec<Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    spec: OptimizerSpec,
    lr: Vec<f64>,
    momentum: Vec<f64>,
    values: Vec<Vec<f32>>,
    state: std::collections::BTreeMap<String, Vec<f32>>,
}

/// The largest difference, relative to the expected value or, where that is smaller, to the `floor` of that place.
fn difference(found: &[f32], expected: &[f32], floor: impl Fn(usize) -> f32) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected).enumerate();
    pairs.map(|(i, (f, e))| (f - e).abs() / e.abs().max(floor(i)).max(f32::MIN_POSITIVE)).fold(0.0, f32::max)
}

#[test]
fn twenty_steps_are_pytorchs() {
    let Fixture { start, kept_steps, gradients, cases } = fixture("optimizers.json");
    assert_eq!(cases.len(), 21);
    // Sums of gradients of both signs lose digits: they are held against the largest gradient of their place.
    let largest = |i: usize| gradients.iter().map(|gradient| gradient[i].abs()).fold(0.0, f32::max);
    for case in cases {
        case.spec.check().expect("PyTorch takes it");
        let mut optimizer = Optimizer::new(&case.spec, &[start.len()]);
        let (mut values, mut kept) = (start.clone(), case.values.iter());
        for (step, gradient) in gradients.iter().enumerate() {
            optimizer.begin_step();
            let momentum = case.momentum.get(step).copied();
            optimizer.step(0, case.lr[step], momentum, &mut values, gradient);
            if kept_steps.contains(&(step + 1)) {
                let expected = kept.next().expect("values of every kept step");
                let off = difference(&values, expected, |i| start[i].abs().max(1e-2));

                assert!(off < 1e-6, "{:?}: off by {off:e} after step {}", case.spec, step + 1);
            }
        }
        let names: Vec<_> = optimizer.state().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), case.state.len(), "{:?}: {names:?}", case.spec);
        for (_, name, found) in optimizer.state() {
            let signed = !["sq", "sum"].iter().any(|squares| name.contains(squares));
            let off = difference(found, &case.state[name], |i| if signed { largest(i) } else { 0.0 });
            assert!(off < 1e-6, "{:?}: {name} off by {off:e}", case.spec);
        }
    }
}
