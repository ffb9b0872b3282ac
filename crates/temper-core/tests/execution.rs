//! The native executor against the plain reference evaluator, for every operator and every architecture of the zoo.

mod reference;
pub mod support;

use support::networks::{bits, every_operator, inputs, randomised, zoo};
use temper_core::execution::{Beside, Extent, Faulty, Origins, ParameterId, Program, TapId, Workspace};
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{Network, NodeId};

fn run(
    program: &Program,
    weights: &temper_core::execution::Weights,
    input: &[f32],
    images: usize,
) -> Workspace {
    let mut workspace = Workspace::recording(program);
    workspace.input_mut(program, images).copy_from_slice(input);
    program.run(weights, &mut workspace);
    workspace
}

fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |largest, x| largest.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(*found) - expected).abs() <= 2e-5 * scale,
            "{what}[{i}]: {found}, expected {expected}"
        );
    }
}

/// Checks a network: every observed node against the reference, fused against unfused, shared buffers against recorded ones.
fn check(network: &Network) {
    let images = 3;
    let input = inputs(network, images);
    let expected = reference::evaluate(network, &input, images);
    let all: Vec<NodeId> = (0..network.nodes().len()).map(NodeId).collect();
    let (program, weights) = Program::compile(network, &all, &[]);
    let unfused = run(&program, &weights, &input, images);
    for &id in &all {
        let found = unfused.activation(&program, id).expect("observed nodes stay available");
        assert_close(found, &expected[id.0], &network.node(id).name);
    }
    let (program, weights) = Program::compile(network, &[], &[]);
    let fused = run(&program, &weights, &input, images);
    assert_close(fused.output(&program), &expected[network.output().0], "output");
    let mut shared = Workspace::new(&program);
    // Twice, so that a buffer's old content would show.
    for _ in 0..2 {
        shared.input_mut(&program, images).copy_from_slice(&input);
        program.run(&weights, &mut shared);
        assert_eq!(bits(shared.output(&program)), bits(fused.output(&program)));
    }
    assert!(shared.activation(&program, NodeId(0)).is_none(), "shared buffers hold no record");
}

/// For every parameter: replacing one value in place and running beside the golden run gives bit for bit what compiling the changed
/// network and running it in full gives; putting the value back gives the golden output.
fn check_striking(network: &Network) {
    let images = 2;
    let input = inputs(network, images);
    let (program, mut weights) = Program::compile(network, &[], &[]);
    let golden = run(&program, &weights, &input, images);
    let mut faulty = Faulty::default();
    faulty.follow(&program, &golden);
    for (number, (path, parameter)) in network.parameters().enumerate() {
        let id = ParameterId(number);
        let index = parameter.tensor.data().len() / 2;
        let before = weights.get(id, index);
        assert_eq!(before.to_bits(), parameter.tensor.data()[index].to_bits(), "{path}");
        weights.set(id, index, before + 0.75);
        let mut origins = Origins::default();
        origins.add_parameter(&program, &weights, id, index);
        let untouched = &mut |_: TapId, _: usize, _: Extent, _: &mut [f32]| unreachable!("no taps");
        program.run_faulty(
            &weights,
            &origins,
            &[0, 1],
            Beside { golden: &golden, proofs: None },
            &mut faulty,
            untouched,
        );
        let mut parameters = network.tensors().clone();
        if let Some(tensor) = parameters.get_mut(&path) {
            tensor.data_mut()[index] = before + 0.75;
        }
        let changed = network.clone().with_parameters(parameters).expect("the same shapes");
        let (fresh_program, fresh_weights) = Program::compile(&changed, &[], &[]);
        let fresh = run(&fresh_program, &fresh_weights, &input, images);
        let (expected, golden_output) = (fresh.output(&fresh_program), golden.output(&program));
        let len = program.output_len();
        for image in 0..images {
            let place = image * len..(image + 1) * len;
            let output = faulty.output(&program, image).unwrap_or(&golden_output[place.clone()]);
            assert_eq!(bits(output), bits(&expected[place]), "{path}, image {image}");
        }
        weights.set(id, index, before);
        program.run_faulty(
            &weights,
            &origins,
            &[0, 1],
            Beside { golden: &golden, proofs: None },
            &mut faulty,
            untouched,
        );
        assert!((0..images).all(|image| faulty.output(&program, image).is_none()), "{path} put back");
    }
}

#[test]
fn every_operator_agrees_with_the_reference() {
    check(&every_operator());
}

#[test]
fn every_architecture_agrees_with_the_reference() {
    for (seed, architecture) in zoo().iter().enumerate() {
        check(&randomised(architecture.build().expect("a sound architecture"), seed as u64));
    }
}

#[test]
fn striking_in_place_equals_compiling_the_changed_network() {
    check_striking(&every_operator());
    for architecture in [&zoo()[1], &zoo()[7], &zoo()[8]] {
        check_striking(&randomised(architecture.build().expect("a sound architecture"), 7));
    }
}

#[test]
fn residual_blocks_run_as_one_step_a_convolution() {
    let network = Architecture::new(Family::CifarResnet(20)).build().expect("a sound architecture");
    let (program, _) = Program::compile(&network, &[], &[]);
    // 19 convolutions, 1 linear layer, 1 mean; 2 shortcuts of 2 steps.
    assert_eq!(program.step_count(), 25);
}
