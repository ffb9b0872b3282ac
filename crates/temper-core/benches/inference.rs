//! Images a second on one thread: golden inference of the zoo, and faulty inference from different depths of ResNet-20.
//!
//! `cargo bench -p temper-core`

mod common;

use common::network;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use temper_core::execution::{Beside, Faulty, Origins, ParameterId, Program, Weights, Workspace};
use temper_core::network::{Network, NodeId, Op};

const IMAGES: usize = 64;

fn main() {
    divan::main();
}

fn loaded(network: &Network) -> (Program, Weights, Workspace) {
    let (mut program, mut weights) = Program::compile(network, &[], &[]);
    program.use_winograd(&mut weights);
    let mut golden = Workspace::recording(&program);
    for (i, value) in golden.input_mut(&program, IMAGES).iter_mut().enumerate() {
        *value = (i * 48_271 % 1000) as f32 / 500.0 - 1.0;
    }
    program.run(&weights, &mut golden);
    (program, weights, golden)
}

#[divan::bench(args = ["mlp", "lenet5", "resnet20", "resnet18"], sample_count = 10, sample_size = 1)]
fn golden(bencher: Bencher<'_, '_>, name: &str) {
    let network = network(name);
    let (program, weights, mut workspace) = loaded(&network);
    bencher.counter(ItemsCount::new(IMAGES)).bench_local(|| {
        program.run(&weights, &mut workspace);
        black_box(workspace.output(&program)[0])
    });
}

/// One struck weight in the given layer of ResNet-20: only what lies behind it is computed.
#[divan::bench(args = ["conv1", "layer1.2.conv2", "layer2.2.conv2", "layer3.2.conv2", "fc"], sample_count = 10, sample_size = 1)]
fn faulty(bencher: Bencher<'_, '_>, layer: &str) {
    let network = network("resnet20");
    let (program, mut weights, golden) = loaded(&network);
    let is_weight =
        |id: NodeId| network.node(id).name == layer && !matches!(network.node(id).op, Op::BatchNorm { .. });
    let number = network.parameters().position(|(_, parameter)| is_weight(parameter.node)).expect("a layer");
    let parameter = ParameterId(number);
    let mut origins = Origins::default();
    origins.add_parameter(&program, &weights, parameter, 5);
    let images: Vec<usize> = (0..IMAGES).collect();
    let mut faulty = Faulty::default();
    faulty.follow(&program, &golden);
    let beside = Beside { golden: &golden, proofs: None };
    bencher.counter(ItemsCount::new(IMAGES)).bench_local(|| {
        let before = weights.get(parameter, 5);
        weights.set(parameter, 5, -before);
        program.run_faulty(&weights, &origins, &images, beside, &mut faulty, &mut |_, _, part, _| part);
        weights.set(parameter, 5, before);
        black_box(faulty.output(&program, 0).map(|output| output[0]))
    });
}
