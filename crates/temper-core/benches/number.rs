//! Values a second that are stored in a number format: `Codec::store` over a million values.
//!
//! `cargo bench -p temper-core --bench number`

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use temper_core::number::{Codec, Granularity, NumberFormat, Quantisation};

const VALUES: usize = 1 << 20;
const CHANNELS: usize = 64;

fn main() {
    divan::main();
}

/// Values in −1..1, as of an activation `[64, 128, 128]`.
fn values() -> Vec<f32> {
    (0..VALUES).map(|i| (i * 48_271 % 65_521) as f32 / 32_760.5 - 1.0).collect()
}

fn store(bencher: Bencher<'_, '_>, format: &str, granularity: Granularity) {
    let quantisation = Quantisation { granularity, ..Quantisation::default() };
    let format: NumberFormat = format.parse().expect("a format");
    let codec = Codec::fit(format, &quantisation, &values(), CHANNELS).expect("a sound choice");
    bencher.counter(ItemsCount::new(VALUES)).with_inputs(values).bench_local_refs(|values| {
        codec.store(values);
        black_box(values[0])
    });
}

#[divan::bench(args = ["f16", "bf16", "f8e4m3", "f8e5m2", "q7.8", "int8", "sint8", "uint8", "binary"])]
fn per_tensor(bencher: Bencher<'_, '_>, format: &str) {
    store(bencher, format, Granularity::Tensor);
}

#[divan::bench(args = ["int8", "sint8", "uint8", "binary"])]
fn per_channel(bencher: Bencher<'_, '_>, format: &str) {
    store(bencher, format, Granularity::Channel);
}
