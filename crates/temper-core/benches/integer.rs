//! Images a second on one thread: networks stored in 8 bits, computed in integers, beside the same networks in `f32`.
//!
//! Storing the activations, at the input of every layer, is part of what the integers take. `cargo bench -p temper-core --bench integer`

mod common;

use common::network;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use temper_core::execution::{Program, TapId, Weights, Workspace, chunk_size};
use temper_core::memory::{Layers, Memory, Place, StorageSpec};
use temper_core::network::Network;
use temper_core::number::{Granularity, NumberFormat, RangeRule};

const NETWORKS: [&str; 4] = ["mlp", "lenet5", "resnet20", "resnet18"];

fn main() {
    divan::main();
}

/// The network with weights in `int8` and every layer's input in `uint8`.
fn stored(network: &Network) -> Memory {
    let weights = StorageSpec {
        granularity: Some(Granularity::Channel),
        ..StorageSpec::new("weight".parse().expect("a target"), Layers::default(), None, NumberFormat::Int(8))
    };
    let inputs = StorageSpec {
        range: Some(RangeRule::Interval { low: -1.0, high: 4.0 }),
        ..StorageSpec::new(
            "activation".parse().expect("a target"),
            Layers::default(),
            Some(Place::Input),
            NumberFormat::Uint(8),
        )
    };
    let mut memory = Memory::new(network, &[weights, inputs]).expect("every layer has both");
    memory.calibrate(Vec::new());
    memory
}

/// A batch as evaluations run it, through a program whose activations are stored as `memory` says.
fn measure(bencher: Bencher<'_, '_>, program: &Program, weights: &Weights, memory: &Memory) {
    let images = chunk_size(program);
    let mut workspace = Workspace::new(program);
    let value = |i: usize| (i * 48_271 % 1000) as f32 / 500.0 - 1.0;
    let inputs: Vec<f32> = (0..images * program.input_len()).map(value).collect();
    bencher.counter(ItemsCount::new(images)).bench_local(|| {
        // Later values of the run take the inputs' place.
        workspace.input_mut(program, images).copy_from_slice(&inputs);
        program.run_with(weights, &mut workspace, &mut |tap: TapId, values: &mut [f32]| {
            let tensor = memory.tensor(memory.at_tap(tap));
            values.chunks_exact_mut(tensor.values()).for_each(|image| tensor.codec().store(image));
        });
        black_box(workspace.output(program)[0])
    });
}

#[divan::bench(args = NETWORKS, sample_count = 20, sample_size = 1)]
fn golden_f32(bencher: Bencher<'_, '_>, name: &str) {
    let memory = Memory::new(&network(name), &[]).expect("nothing is stored in another format");
    let (program, weights) = Program::compile(memory.network(), &[], &[]);
    measure(bencher, &program, &weights, &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 20, sample_size = 1)]
fn golden_int8(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name));
    let layers = memory.integer_layers().expect("every layer has both");
    let (program, weights) = Program::compile_integer(memory.network(), &[], memory.taps(), &layers);
    measure(bencher, &program, &weights, &memory);
}
