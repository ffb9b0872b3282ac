//! Images a second on one thread: networks on analog hardware, beside the same networks stored alike and computed digitally in `f32`.
//!
//! `cargo bench -p temper-core --bench hardware`

mod common;

use common::network;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use temper_core::execution::{Program, TapId, Weights, Workspace};
use temper_core::hardware::{
    CrossbarSpec, Hardware, HardwareModel, HardwareSpec, Mapping, Mounted, Noise, SandwichRamSpec,
};
use temper_core::memory::{Layers, Memory, Place, StorageSpec};
use temper_core::number::{Granularity, NumberFormat, RangeRule};

const NETWORKS: [&str; 3] = ["mlp", "lenet5", "resnet20"];

fn main() {
    divan::main();
}

/// The network with binary weights and every layer's input in `uint8`, as a Sandwich-RAM takes them.
fn stored(name: &str) -> Memory {
    let weights = StorageSpec {
        granularity: Some(Granularity::Channel),
        ..StorageSpec::new("weight".parse().expect("a target"), Layers::default(), None, NumberFormat::Binary)
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
    let mut memory = Memory::new(&network(name), &[weights, inputs]).expect("every layer has both");
    memory.calibrate(Vec::new());
    memory
}

/// Images of one batch.
const IMAGES: usize = 32;

fn measure(bencher: Bencher<'_, '_>, (program, weights): &(Program, Weights), memory: &Memory) {
    let mut workspace = Workspace::new(program);
    let value = |i: usize| (i * 48_271 % 1000) as f32 / 500.0 - 1.0;
    let inputs: Vec<f32> = (0..IMAGES * program.input_len()).map(value).collect();
    bencher.counter(ItemsCount::new(IMAGES)).bench_local(|| {
        workspace.input_mut(program, IMAGES).copy_from_slice(&inputs);
        program.run_with(weights, &mut workspace, &mut |tap: TapId, values: &mut [f32]| {
            let tensor = memory.tensor(memory.at_tap(tap));
            values.chunks_exact_mut(tensor.values()).for_each(|image| tensor.codec().store(image));
        });
        black_box(workspace.output(program)[0])
    });
}

/// The network on a chip; noise in every operation, or none.
fn on_chip(memory: &Memory, model: HardwareModel, noise: Option<Noise>) -> (Program, Weights) {
    let network = memory.network();
    let entry = HardwareSpec { layers: Layers::default(), model };
    let chip = Hardware::new(network, &[entry]).expect("it fits").draw(1);
    let mount = |layer| {
        let layer: &temper_core::hardware::ChipLayer = layer;
        let weights = &network.tensors()[&format!("{}.weight", layer.layer)];
        Mounted::new(layer, memory, weights.data())
    };
    let mounted = chip.layers.iter().map(mount).collect();
    Program::compile_on_chip(network, &[], memory.taps(), mounted, noise)
}

fn sandwich_ram(mapping: Mapping) -> HardwareModel {
    HardwareModel::SandwichRam(SandwichRamSpec { mapping, ..SandwichRamSpec::default() })
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn digital(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(name);
    measure(bencher, &Program::compile(memory.network(), &[], memory.taps()), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_time_multiplexed(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(name);
    measure(bencher, &on_chip(&memory, sandwich_ram(Mapping::TimeMultiplexed), Some(Noise(1))), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_unrolled(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(name);
    measure(bencher, &on_chip(&memory, sandwich_ram(Mapping::Unrolled), Some(Noise(1))), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_without_noise(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(name);
    measure(bencher, &on_chip(&memory, sandwich_ram(Mapping::TimeMultiplexed), None), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn crossbar(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(name);
    let model = HardwareModel::Crossbar(CrossbarSpec::default());
    measure(bencher, &on_chip(&memory, model, Some(Noise(1))), &memory);
}
