//! Faulty runs beside a golden one: bit for bit what a full run with the same faults gives, whatever is struck and wherever.

pub mod support;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use support::networks::{all_taps, every_operator, inputs, randomised, zoo};
use temper_core::execution::{
    Beside, Extent, Faulty, Origins, ParameterId, Program, Tap, TapId, TapSide, Weights, Workspace,
};
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_core::network::{GraphDescription, Network};

const IMAGES: usize = 5;

/// Struck values of one tap: image, place in the value, what it becomes.
type Strike = (usize, usize, f32);

/// Faults of a run, taken at random.
struct Faults {
    parameters: Vec<(ParameterId, usize, f32)>,
    /// By tap.
    strikes: Vec<Vec<Strike>>,
}

/// Activations on a coarse grid, so that rounding masks some faults; or as they are.
fn store(stores: bool, values: &mut [f32]) {
    for value in values.iter_mut().filter(|_| stores) {
        *value = (*value * 16.0).round() / 16.0;
    }
}

fn struck_value(rng: &mut ChaCha12Rng, before: f32) -> f32 {
    match rng.random_range(0..7) {
        0 => f32::INFINITY,
        1 => f32::NAN,
        2 => -1e30,
        3 => 0.0,
        4 => f32::from_bits(before.to_bits() ^ 1),
        5 => 1e-40,
        _ => before + 0.75,
    }
}

impl Faults {
    fn draw(rng: &mut ChaCha12Rng, network: &Network, program: &Program, weights: &Weights) -> Self {
        let parameters: Vec<usize> =
            network.parameters().map(|(_, parameter)| parameter.tensor.data().len()).collect();
        let parameters = (0..rng.random_range(0..3)).map(|_| {
            let number = rng.random_range(0..parameters.len());
            let index = rng.random_range(0..parameters[number]);
            let id = ParameterId(number);
            (id, index, struck_value(rng, weights.get(id, index)))
        });
        let parameters = parameters.collect();
        let mut strikes = vec![Vec::new(); program.tap_count()];
        let mut tap = 0;
        for _ in 0..rng.random_range(0..5) {
            // Every other one lies close behind the one before: in the same step, where steps have several taps.
            tap = if rng.random() { tap + 1 } else { rng.random_range(0..strikes.len().max(1)) };
            if let Some(strikes) = strikes.get_mut(tap) {
                let place = rng.random_range(0..program.tap_len(TapId(tap)));
                strikes.push((rng.random_range(0..IMAGES), place, struck_value(rng, 1.0)));
            }
        }
        Self { parameters, strikes }
    }

    fn origins(&self, program: &Program, weights: &Weights) -> Origins {
        let mut origins = Origins::default();
        for &(parameter, index, _) in &self.parameters {
            origins.add_parameter(program, weights, parameter, index);
        }
        for (tap, strikes) in self.strikes.iter().enumerate() {
            let tap = TapId(tap);
            for &(_, place, _) in strikes {
                origins.add_tap(program, tap, Extent::cell(program.tap_shape(tap), place));
            }
        }
        origins
    }

    fn weights(&self, pristine: &Weights) -> Weights {
        let mut weights = pristine.clone();
        for &(parameter, index, value) in &self.parameters {
            weights.set(parameter, index, value);
        }
        weights
    }
}

/// Values as bits, every NaN the same: which of several NaNs an operation gives is not defined.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// A network, and whether its activations are stored.
struct Stored<'a> {
    network: &'a Network,
    program: &'a Program,
    weights: &'a Weights,
    /// With taps between steps.
    apart: (&'a Program, &'a Weights),
    stores: bool,
}

fn full_run(
    program: &Program,
    stores: bool,
    weights: &Weights,
    input: &[f32],
    faults: Option<&Faults>,
) -> Workspace {
    let mut workspace = Workspace::recording(program);
    workspace.input_mut(program, IMAGES).copy_from_slice(input);
    program.run_with(weights, &mut workspace, &mut |tap, values| {
        store(stores, values);
        for &(image, place, value) in faults.map_or(&[][..], |faults| &faults.strikes[tap.0]) {
            values[image * program.tap_len(tap) + place] = value;
        }
    });
    workspace
}

/// Runs that share one memory, so that what one leaves behind would show in the next; convolutions computed directly, and
/// then by Winograd's algorithm, as many as are returned; with taps between steps, and within.
fn check(network: &Network, taps: &[Tap], runs: usize, seed: u64) -> usize {
    let mut others = 0;
    for stores in [true, false] {
        let compile = if stores { Program::compile } else { Program::compile_to_strike };
        let mut own = compile(network, &[], taps);
        let mut apart = Program::compile(network, &[], taps);
        let check = |own: &(Program, Weights), apart: &(Program, Weights)| {
            let (program, weights) = (&own.0, &own.1);
            let stored = Stored { network, program, weights, apart: (&apart.0, &apart.1), stores };
            check_program(&stored, runs, seed);
        };
        check(&own, &apart);
        others = own.0.use_winograd(&mut own.1);
        if others > 0 {
            apart.0.use_winograd(&mut apart.1);
            check(&own, &apart);
        }
    }
    others
}

fn check_program(stored: &Stored, runs: usize, seed: u64) {
    let &Stored { network, program, weights, apart, stores } = stored;
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let input = inputs(network, IMAGES);
    let taps = 0..program.tap_count();
    let shapes: Vec<[usize; 3]> = taps.map(|tap| program.tap_shape(TapId(tap))).collect();
    let mut golden = Workspace::recording(program);
    golden.input_mut(program, IMAGES).copy_from_slice(&input);
    program.run_unstruck(weights, &mut golden, &mut |_, values| store(stores, values));
    let mut faulty = Faulty::default();
    faulty.follow(program, &golden);
    let len = program.output_len();
    let mut unchanged = 0;
    for run in 0..runs {
        let faults = Faults::draw(&mut rng, network, program, weights);
        let struck = faults.weights(weights);
        let expected = full_run(apart.0, stores, &faults.weights(apart.1), &input, Some(&faults));
        let images: Vec<usize> = (0..IMAGES).filter(|_| rng.random_bool(0.8)).collect();
        let origins = faults.origins(program, weights);
        program.run_faulty(
            &struck,
            &origins,
            &images,
            Beside { golden: &golden, proofs: None },
            &mut faulty,
            &mut |tap, image, differs, values| {
                differs.for_each_run(shapes[tap.0], |start, len| {
                    store(stores, &mut values[start..][..len]);
                });
                let mine = faults.strikes[tap.0].iter().filter(|strike| strike.0 == image);
                mine.fold(differs, |all, &(_, place, value)| {
                    values[place] = value;
                    all.union(Extent::cell(shapes[tap.0], place))
                })
            },
        );
        for image in images {
            let golden_output = &golden.output(program)[image * len..][..len];
            let output = faulty.output(program, image);
            unchanged += usize::from(output.is_none());
            let expected = &expected.output(apart.0)[image * len..][..len];
            assert_eq!(bits(output.unwrap_or(golden_output)), bits(expected), "run {run}, image {image}");
        }
    }
    assert!(unchanged > 0, "no fault was masked");
}

/// The taps that hinder no fusion.
fn output_taps(network: &Network) -> Vec<Tap> {
    all_taps(network).into_iter().filter(|tap| tap.side == TapSide::Output).collect()
}

fn residual(shortcut: Shortcut) -> Network {
    let architecture = Architecture {
        input: vec![3, 12, 12],
        widths: vec![3, 4, 9],
        shortcut,
        ..Architecture::new(Family::CifarResnet(8))
    };
    randomised(architecture.build().expect("sound"), 5)
}

#[test]
fn every_operator_may_be_struck_anywhere() {
    let network = every_operator();
    check(&network, &[], 200, 1);
    check(&network, &all_taps(&network), 400, 2);
    check(&network, &output_taps(&network), 400, 12);
}

/// A linear layer's rows are not output channels, even where it has one feature.
#[test]
fn linear_layers_over_rows_may_be_struck_anywhere() {
    let json = r#"{
      "input": [3, 4],
      "node": [
        {"name": "many", "op": {"kind": "linear", "in_features": 4, "out_features": 5}},
        {"name": "relu", "op": {"kind": "relu"}},
        {"name": "one", "op": {"kind": "linear", "in_features": 5, "out_features": 1}},
        {"name": "relu2", "op": {"kind": "relu"}},
        {"name": "flat", "op": {"kind": "flatten"}},
        {"name": "last", "op": {"kind": "linear", "in_features": 3, "out_features": 4}}
      ]
    }"#;
    let graph: GraphDescription = serde_json::from_str(json).expect("valid JSON");
    let network = randomised(graph.build().expect("sound"), 9);
    for taps in [Vec::new(), all_taps(&network), output_taps(&network)] {
        check(&network, &taps, 200, 9);
    }
}

#[test]
fn networks_computed_by_winograds_algorithm_may_be_struck_anywhere() {
    let architecture = Architecture {
        input: vec![3, 14, 17],
        widths: vec![16, 17, 20],
        ..Architecture::new(Family::CifarResnet(8))
    };
    let network = randomised(architecture.build().expect("sound"), 6);
    assert_eq!(check(&network, &[], 40, 7), 3);
    assert_eq!(check(&network, &all_taps(&network), 60, 8), 3);
    assert_eq!(check(&network, &output_taps(&network), 100, 18), 3);
}

#[test]
fn residual_networks_may_be_struck_anywhere() {
    for shortcut in [Shortcut::A, Shortcut::B] {
        let network = residual(shortcut);
        check(&network, &[], 60, 3);
        check(&network, &all_taps(&network), 100, 4);
        check(&network, &output_taps(&network), 200, 14);
    }
}

#[test]
fn every_architecture_may_be_struck() {
    for (seed, architecture) in (0..).zip(zoo()) {
        check(&randomised(architecture.build().expect("sound"), seed), &[], 6, seed);
    }
}
