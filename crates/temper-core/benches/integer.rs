//! Images a second on one thread: networks stored in 8 bits, computed in integers, beside the same networks in `f32`.
//!
//! Storing the activations, at the input of every layer, is part of what the integers take. `cargo bench -p temper-core --bench integer`

mod common;
#[path = "common/stored.rs"]
mod stored;

use common::network;
use divan::Bencher;
use stored::{measure, stored};
use temper_core::execution::{Program, chunk_size};
use temper_core::memory::Memory;
use temper_core::number::NumberFormat;

const NETWORKS: [&str; 4] = ["mlp", "lenet5", "resnet20", "resnet18"];

fn main() {
    divan::main();
}

#[divan::bench(args = NETWORKS, sample_count = 20, sample_size = 1)]
fn golden_f32(bencher: Bencher<'_, '_>, name: &str) {
    let memory = Memory::new(&network(name), &[]).expect("nothing is stored in another format");
    let mut compiled = Program::compile(memory.network(), &[], &[]);
    compiled.0.use_winograd(&mut compiled.1);
    measure(bencher, chunk_size(&compiled.0), &compiled, &memory);
}

#[divan::bench(args = NETWORKS, sample_count = 20, sample_size = 1)]
fn golden_int8(bencher: Bencher<'_, '_>, name: &str) {
    let memory = stored(&network(name), NumberFormat::Int(8));
    let layers = memory.integer_layers().expect("every layer has both");
    let compiled = Program::compile_integer(memory.network(), &[], memory.taps(), &layers);
    measure(bencher, chunk_size(&compiled.0), &compiled, &memory);
}
