//! How fast the layers of real networks are on one thread, beside the most multiply-adds the processor can do.
//!
//! `cargo bench -p temper-kernels [-- PART_OF_A_NAME]` prints a table: layer, instructions, GFLOP/s (a multiply-add counts as
//! two), share of the peak measured for these instructions. Each figure is the best of many runs. Operators whose time goes into
//! reading and writing come first, in values of the larger operand per nanosecond.

mod forward;
mod gradients;
mod layers;
mod memory;
mod peak;

use forward::{Algorithm, Part, Values, convolve, multiply};
use gradients::Gradient;
use layers::{LINEAR, convolutions};
use temper_kernels::Isa;

fn main() {
    // Cargo passes `--bench`.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for (name, rate) in memory::rates(&filter) {
        println!("{name:<58} {rate:>7.2} values/ns");
    }
    for isa in Isa::available() {
        let peak = peak::peak(isa);
        println!("{isa:?}: peak {peak:.1} GFLOP/s");
        let show =
            |name: &str, rate: f64| println!("  {name:<56} {rate:>7.1} {:>4.0} %", 100.0 * rate / peak);
        for (name, shape) in convolutions().into_iter().filter(|(name, _)| name.contains(&filter)) {
            show(name, convolve(isa, &shape, Algorithm::Direct, Part::All, Values::Ordinary));
            if (shape.kernel, shape.stride, shape.groups) == ([3, 3], [1, 1], 1) {
                let rate = convolve(isa, &shape, Algorithm::Winograd, Part::All, Values::Ordinary);
                show(&format!("{name}, Winograd"), rate);
            }
        }
        for (name, inputs, outputs) in LINEAR.into_iter().filter(|(name, ..)| name.contains(&filter)) {
            for rows in [64, 1] {
                show(&format!("{name}, {rows} rows"), multiply(isa, rows, inputs, outputs));
            }
        }
        for (name, shape) in convolutions() {
            for gradient in [Gradient::Input, Gradient::Weights] {
                let name = format!("{gradient:?} gradient: {name}");
                if name.contains(&filter) {
                    show(&name, gradients::convolution(isa, &shape, gradient));
                }
            }
        }
        for (name, inputs, outputs) in LINEAR {
            for gradient in [Gradient::Input, Gradient::Weights] {
                let name = format!("{gradient:?} gradient: {name}, 64 rows");
                if name.contains(&filter) {
                    show(&name, gradients::linear(isa, 64, inputs, outputs, gradient));
                }
            }
        }
        let [_, small, _, large, ..] = convolutions().map(|(_, shape)| shape);
        for (name, shape, part, values) in [
            ("regions: one channel, 16 -> 16, 32x32", small, Part::Channel, Values::Ordinary),
            ("regions: one channel, 64 -> 64, 8x8", large, Part::Channel, Values::Ordinary),
            ("regions: 3x3 windows, 16 -> 16, 32x32", small, Part::Windows, Values::Ordinary),
            ("regions: 3x3 windows, 64 -> 64, 8x8", large, Part::Windows, Values::Ordinary),
            ("subnormal: one weight, 64 -> 64, 8x8", large, Part::All, Values::OneSubnormalWeight),
            ("subnormal: all inputs, 64 -> 64, 8x8", large, Part::All, Values::SubnormalInputs),
        ] {
            if name.contains(&filter) {
                show(name, convolve(isa, &shape, Algorithm::Direct, part, values));
            }
        }
    }
}
