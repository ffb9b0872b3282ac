//! Proofs of masking: whatever is left before its end would have kept its top class, and campaigns record the same with and without.

pub mod support;

use std::ops::ControlFlow;

use support::networks::{inputs, randomised};
use support::{Silent, bind, campaign, digits_images, digits_model};
use temper_core::campaign::{Campaign, Golden, ProofPolicy, RunOptions, Trial, TrialRecord};
use temper_core::data::Preprocessing;
use temper_core::execution::{
    Beside, Extent, Faulty, Masking, Origins, ParameterId, Program, Tap, TapId, Workspace,
};
use temper_core::network::zoo::{Architecture, Family, Nonlinearity, Shortcut};
use temper_core::network::{GraphDescription, Model, Network};

/// The records of a campaign's trials, all of them verified by brute force.
fn run(campaign: &Campaign<'_>, golden: &Golden, proofs: ProofPolicy) -> Vec<TrialRecord> {
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let mut records = Vec::new();
    let options = RunOptions { verify: 1.0, proofs, ..RunOptions::default() };
    let stopped = campaign.run(golden, trials, &options, &Silent, |block| {
        records.extend(block);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(stopped, Ok(None));
    records
}

/// The share of inferences left by proof.
fn check(model: &Model, images: usize, toml: &str) -> f64 {
    let mut spec = campaign(toml);
    spec.record.confidence = false;
    let data = digits_images(images);
    let campaign = bind(&spec, model, &data).expect("it fits");
    let golden = campaign.golden(&Silent);
    let proven = run(&campaign, &golden, ProofPolicy::Always);
    let plain = run(&campaign, &golden, ProofPolicy::Never);
    let (mut left, mut all) = (0, 0);
    for (proven, plain) in proven.iter().zip(&plain) {
        assert!(proven.agrees_with(plain), "{toml}\n{proven:?}\n{plain:?}");
        assert_eq!((plain.masked_proven, plain.outcomes.masked_exact), (0, None));
        assert!(proven.masked_proven <= proven.outcomes.masked);
        left += proven.masked_proven;
        all += proven.outcomes.images;
    }
    left as f64 / all as f64
}

const FAULTS: [&str; 4] = [
    "[[fault]]\nmodel = 'bit-flip'\ncount = 1",
    "[[fault]]\nmodel = 'zeroing'\ncount = 1\ntarget = 'bias'",
    "[[fault]]\nmodel = 'gaussian'\nsigma = 1e-3\ncount = 1",
    "[[fault]]\nmodel = 'bit-flip'\ntarget = 'activation'\ncount = 1\nlifetime = 'transient'",
];

#[test]
fn proofs_on_the_digits_change_no_record() {
    for fault in FAULTS {
        let share = check(&digits_model(), 60, &format!("trials.count = 60\n{fault}"));
        println!("{fault}: {share:.3}");
        assert!(share > 0.2, "{fault}: {share}");
    }
}

fn built(architecture: &Architecture, seed: u64) -> Model {
    let network: Network = randomised(architecture.build().expect("sound"), seed);
    Model { network, preprocessing: Preprocessing::default() }
}

#[test]
fn proofs_on_other_networks_change_no_record() {
    let input = vec![1, 8, 8];
    let residual = Architecture {
        input: input.clone(),
        widths: vec![3, 4, 6],
        shortcut: Shortcut::B,
        ..Architecture::new(Family::CifarResnet(8))
    };
    let mlp = Architecture { input: input.clone(), widths: vec![20, 12], ..Architecture::new(Family::Mlp) };
    let tanh = Architecture { nonlinearity: Nonlinearity::Tanh, ..mlp.clone() };
    let padded = Architecture { shortcut: Shortcut::A, ..residual.clone() };
    let mut shares = Vec::new();
    for (seed, architecture) in (0..).zip([residual, mlp, tanh, padded]) {
        let model = built(&architecture, seed);
        for fault in FAULTS.iter().filter(|fault| !fault.contains("bias") || seed == 1 || seed == 2) {
            shares.push(check(&model, 12, &format!("trials.count = 40\n{fault}")));
        }
    }
    println!("{shares:.3?}");
    assert!(shares.iter().filter(|share| **share > 0.1).count() >= 8, "{shares:?}");
}

/// Convolutions in a row, of several sizes, strides and paddings, with every activation whose slope is between 0 and 1: each is bounded together
/// with one neighbour at most.
const CHAIN: &str = "input = [1, 8, 8]
node = [
    { name = 'conv1', op = { kind = 'conv2d', in_channels = 1, out_channels = 4, kernel = 3, padding = 1 } },
    { name = 'relu1', op = { kind = 'relu' } },
    { name = 'conv2', op = { kind = 'conv2d', in_channels = 4, out_channels = 5, kernel = 5, padding = 2 } },
    { name = 'bn2', op = { kind = 'batch-norm', num_features = 5 } },
    { name = 'relu2', op = { kind = 'relu' } },
    { name = 'conv3', op = { kind = 'conv2d', in_channels = 5, out_channels = 4, kernel = 3, padding = 2 } },
    { name = 'clip3', op = { kind = 'clip', min = 0.0, max = 6.0 } },
    { name = 'conv4', op = { kind = 'conv2d', in_channels = 4, out_channels = 6, kernel = 3, stride = 2 } },
    { name = 'relu4', op = { kind = 'relu' } },
    { name = 'conv5', op = { kind = 'conv2d', in_channels = 6, out_channels = 4, kernel = 1 } },
    { name = 'conv6', op = { kind = 'conv2d', in_channels = 4, out_channels = 3, kernel = 3, padding = 1 } },
    { name = 'relu6', op = { kind = 'relu' } },
    { name = 'flatten', op = { kind = 'flatten' } },
    { name = 'fc', op = { kind = 'linear', in_features = 48, out_features = 10 } },
]";

#[test]
fn convolutions_in_a_row_are_bounded_two_by_two() {
    let description: GraphDescription = toml::from_str(CHAIN).expect("a description");
    let mut shares = Vec::new();
    for seed in 0..3 {
        let network = randomised(description.clone().build().expect("sound"), seed);
        let model = Model { network, preprocessing: Preprocessing::default() };
        for layers in ["conv1", "conv2", "conv3", "conv4", "conv[56]"] {
            for size in [1e-4, 1e-3, 1e-2] {
                let fault =
                    format!("[[fault]]\nmodel = 'gaussian'\nsigma = {size}\ncount = 1\nlayers = '{layers}'");
                shares.push(check(&model, 12, &format!("trials.count = 25\n{fault}")));
            }
        }
    }
    assert!(shares.iter().filter(|share| **share > 0.1).count() >= 10, "{shares:?}");
}

/// The second convolution is computed by Winograd's algorithm.
const WIDE: &str = "input = [1, 8, 8]
node = [
    { name = 'conv1', op = { kind = 'conv2d', in_channels = 1, out_channels = 16, kernel = 3, padding = 4 } },
    { name = 'relu1', op = { kind = 'relu' } },
    { name = 'conv2', op = { kind = 'conv2d', in_channels = 16, out_channels = 16, kernel = 3, padding = 1 } },
    { name = 'relu2', op = { kind = 'relu' } },
    { name = 'conv3', op = { kind = 'conv2d', in_channels = 16, out_channels = 6, kernel = 3, stride = 2 } },
    { name = 'relu3', op = { kind = 'relu' } },
    { name = 'flatten', op = { kind = 'flatten' } },
    { name = 'fc', op = { kind = 'linear', in_features = 216, out_features = 10 } },
]";

#[test]
fn masking_is_proven_through_what_winograds_algorithm_computes() {
    let description: GraphDescription = toml::from_str(WIDE).expect("a description");
    let network = randomised(description.build().expect("sound"), 0);
    let (mut program, mut weights) = Program::compile(&network, &[], &[]);
    assert_eq!(program.use_winograd(&mut weights), 1);
    let model = Model { network, preprocessing: Preprocessing::default() };
    for layers in ["conv1", "conv2", "conv3"] {
        for fault in ["model = 'gaussian'\nsigma = 1e-4", "model = 'bit-flip'"] {
            let fault = format!("[[fault]]\n{fault}\ncount = 1\nlayers = '{layers}'");
            let share = check(&model, 12, &format!("trials.count = 40\n{fault}"));
            println!("{fault}: {share:.3}");
            assert!(share > 0.1, "{fault}: {share}");
        }
    }
}

#[test]
fn a_run_without_faults_forgets_what_the_one_before_proved() {
    let model =
        built(&Architecture { input: vec![1, 8, 8], widths: vec![9], ..Architecture::new(Family::Mlp) }, 1);
    let (program, weights) = Program::compile(&model.network, &[], &[]);
    let mut golden = Workspace::recording(&program);
    golden.input_mut(&program, 2).copy_from_slice(&inputs(&model.network, 2));
    program.run(&weights, &mut golden);
    let masking = Masking::new(&program, &weights, &|_| true);
    let batch = masking.batch(&program, &weights, &golden);
    let beside = Beside { golden: &golden, proofs: Some((&masking, &batch)) };
    let mut faulty = Faulty::default();
    faulty.follow(&program, &golden);
    // All biases of the first layer, a little larger.
    let is_bias = |path: &str| path.ends_with("bias");
    let bias = model.network.parameters().position(|(path, _)| is_bias(&path)).expect("a bias");
    let (mut struck, mut origins) = (weights.clone(), Origins::default());
    for index in 0..9 {
        struck.set(ParameterId(bias), index, weights.get(ParameterId(bias), index) + 1e-3);
        origins.add_parameter(&program, &weights, ParameterId(bias), index);
    }
    let touch = &mut |_: TapId, _: usize, _: Extent, _: &mut [f32]| unreachable!("no taps");
    program.run_faulty(&struck, &origins, &[0, 1], beside, &mut faulty, touch);
    assert!(faulty.is_proven(0) && faulty.is_proven(1));
    program.run_faulty(&weights, &Origins::default(), &[0, 1], beside, &mut faulty, touch);
    assert!(!faulty.is_proven(0) && faulty.output(&program, 0).is_none());
}

/// A residual block, whose output is the network's: its first step bounds nothing, for feature 0 of `fca` could be anything to `fcb`.
const BLOCK: &str = "input = [6]
node = [
    { name = 'fc0', op = { kind = 'linear', in_features = 6, out_features = 10 } },
    { name = 'relu0', op = { kind = 'relu' } },
    { name = 'fca', op = { kind = 'linear', in_features = 10, out_features = 10 } },
    { name = 'relua', op = { kind = 'relu' } },
    { name = 'fcb', op = { kind = 'linear', in_features = 10, out_features = 10 } },
    { name = 'sum', op = { kind = 'add' }, inputs = ['fcb', 'relu0'] },
";

/// Whether small faults in the first layer are proven to be masked before a node is reached: `nodes` come behind [`BLOCK`]'s.
fn is_proven_before(reached: &str, nodes: &str) -> bool {
    let description: GraphDescription = toml::from_str(&format!("{BLOCK}{nodes}]")).expect("a description");
    let network = randomised(description.build().expect("sound"), 3);
    let tap = Tap::input(network.find(reached).expect("a node"));
    let (program, mut weights) = Program::compile(&network, &[], &[tap]);
    let parameter = |name: &str| {
        ParameterId(network.parameters().position(|(path, _)| path == name).expect("a parameter"))
    };
    // Feature 0 of `fca` is never above zero, nearly whatever its inputs; `fcb` would make much of it.
    weights.set(parameter("fca.bias"), 0, -1e4);
    for row in 0..10 {
        weights.set(parameter("fcb.weight"), row * 10, 1e6);
    }
    let mut golden = Workspace::recording(&program);
    golden.input_mut(&program, 1).copy_from_slice(&inputs(&network, 1));
    program.run_with(&weights, &mut golden, &mut |_, _| {});
    let masking = Masking::new(&program, &weights, &|_| true);
    let batch = masking.batch(&program, &weights, &golden);
    let (mut struck, mut origins, mut faulty) = (weights.clone(), Origins::default(), Faulty::default());
    faulty.follow(&program, &golden);
    for index in 0..10 {
        let bias = parameter("fc0.bias");
        struck.set(bias, index, weights.get(bias, index) + 1e-4);
        origins.add_parameter(&program, &weights, bias, index);
    }
    let mut is_reached = false;
    let touch = &mut |_: TapId, _: usize, differs: Extent, _: &mut [f32]| {
        is_reached = true;
        differs
    };
    let beside = Beside { golden: &golden, proofs: Some((&masking, &batch)) };
    program.run_faulty(&struck, &origins, &[0], beside, &mut faulty, touch);
    assert!(is_reached || faulty.is_proven(0), "it left before {reached}");
    !is_reached
}

#[test]
fn masking_is_proven_within_a_block_where_all_that_differs_is_bounded() {
    // Behind `fca`, where its output and that of `relu0` differ.
    assert!(is_proven_before("fcb", ""));
    // What else reads the latter is not bounded.
    let unbounded = "{ name = 'tanh', op = { kind = 'tanh' }, inputs = ['relu0'] },
        { name = 'all', op = { kind = 'add' }, inputs = ['sum', 'tanh'] },";
    assert!(!is_proven_before("fcb", unbounded));
}

#[test]
fn stored_formats_and_recorded_confidences_take_no_shortcuts_they_must_not() {
    // Rounding to a grid takes differences apart: nothing behind it bounds what is before it.
    let stored = "trials.count = 40\n[[storage]]\ntarget = 'activation'\nformat = 'f8e4m3'\n[[fault]]\nmodel = 'bit-flip'\ncount = 1";
    check(&digits_model(), 40, stored);
    let spec = campaign("trials.count = 4\n[[fault]]\nmodel = 'bit-flip'\ncount = 1");
    assert!(spec.record.confidence);
    let (model, data) = (digits_model(), digits_images(20));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    for record in run(&campaign, &campaign.golden(&Silent), ProofPolicy::Always) {
        assert_eq!(record.masked_proven, 0);
        assert!(record.outcomes.masked_exact.is_some());
    }
}
