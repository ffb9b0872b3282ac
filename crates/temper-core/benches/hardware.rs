//! Images a second on one thread: networks on analog hardware, beside the same networks stored alike and computed digitally in `f32`.
//!
//! `cargo bench -p temper-core --bench hardware`

mod common;
#[path = "common/stored.rs"]
mod stored;

use common::network;
use divan::Bencher;
use stored::{measure, stored};
use temper_core::execution::{Program, Weights};
use temper_core::hardware::{
    CrossbarSpec, Hardware, HardwareModel, HardwareSpec, Mapping, Mounted, Noise, SandwichRamSpec,
};
use temper_core::memory::{Layers, Memory};
use temper_core::number::NumberFormat;

const NETWORKS: [&str; 3] = ["mlp", "lenet5", "resnet20"];

fn main() {
    divan::main();
}

/// Images of one batch.
const IMAGES: usize = 32;

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
    let memory = stored(&network(name), NumberFormat::Binary);
    measure(bencher, IMAGES, &Program::compile(memory.network(), &[], memory.taps()), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_time_multiplexed(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name), NumberFormat::Binary);
    measure(
        bencher,
        IMAGES,
        &on_chip(&memory, sandwich_ram(Mapping::TimeMultiplexed), Some(Noise(1))),
        &memory,
    );
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_unrolled(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name), NumberFormat::Binary);
    measure(bencher, IMAGES, &on_chip(&memory, sandwich_ram(Mapping::Unrolled), Some(Noise(1))), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn sandwich_ram_without_noise(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name), NumberFormat::Binary);
    measure(bencher, IMAGES, &on_chip(&memory, sandwich_ram(Mapping::TimeMultiplexed), None), &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 10, sample_size = 1)]
fn crossbar(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name), NumberFormat::Binary);
    let model = HardwareModel::Crossbar(CrossbarSpec::default());
    measure(bencher, IMAGES, &on_chip(&memory, model, Some(Noise(1))), &memory);
}
