//! How fast the layers of real networks are on one thread, beside the most multiply-adds the processor can do.
//!
//! `cargo bench -p temper-kernels [-- PART_OF_A_NAME]` prints a table: layer, instructions, GFLOP/s (a multiply-add counts as
//! two), share of the peak measured for these instructions. Each figure is the best of many runs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use temper_kernels::{
    Activation, ConvShape, Epilogue, Isa, PackedWeights, Region, Scratch, conv2d, conv2d_regions, linear,
};

const TIME: Duration = Duration::from_millis(300);

fn main() {
    // Cargo passes `--bench`.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for isa in Isa::available() {
        let peak = peak(isa);
        println!("{isa:?}: peak {peak:.1} GFLOP/s");
        let show =
            |name: &str, rate: f64| println!("  {name:<44} {rate:>7.1} {:>4.0} %", 100.0 * rate / peak);
        for (name, shape) in convolutions().into_iter().filter(|(name, _)| name.contains(&filter)) {
            show(name, convolve(isa, &shape, Part::All, Values::Ordinary));
        }
        for (name, inputs, outputs) in LINEAR.into_iter().filter(|(name, ..)| name.contains(&filter)) {
            for rows in [64, 1] {
                show(&format!("{name}, {rows} rows"), multiply(isa, rows, inputs, outputs));
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
                show(name, convolve(isa, &shape, part, values));
            }
        }
    }
}

fn convolutions() -> [(&'static str, ConvShape); 16] {
    let conv = |channels, size, out_channels, kernel: usize, stride: usize| ConvShape {
        input: [channels, size, size],
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [(kernel - 1) / 2; 4],
        dilation: [1; 2],
        groups: 1,
    };
    [
        ("ResNet-20 3 -> 16, 32x32", conv(3, 32, 16, 3, 1)),
        ("ResNet-20 16 -> 16, 32x32", conv(16, 32, 16, 3, 1)),
        ("ResNet-20 32 -> 32, 16x16", conv(32, 16, 32, 3, 1)),
        ("ResNet-20 64 -> 64, 8x8", conv(64, 8, 64, 3, 1)),
        ("ResNet-20 16 -> 32, stride 2", conv(16, 32, 32, 3, 2)),
        ("ResNet-20 32 -> 64, stride 2", conv(32, 16, 64, 3, 2)),
        ("ResNet-18 3 -> 64, 32x32", conv(3, 32, 64, 3, 1)),
        ("ResNet-18 64 -> 64, 32x32", conv(64, 32, 64, 3, 1)),
        ("ResNet-18 128 -> 128, 16x16", conv(128, 16, 128, 3, 1)),
        ("ResNet-18 256 -> 256, 8x8", conv(256, 8, 256, 3, 1)),
        ("ResNet-18 512 -> 512, 4x4", conv(512, 4, 512, 3, 1)),
        ("ResNet-18 64 -> 128, stride 2", conv(64, 32, 128, 3, 2)),
        ("ResNet-18 64 -> 128, 1x1, stride 2", conv(64, 32, 128, 1, 2)),
        ("LeNet-5 1 -> 6, 28x28, 5x5", conv(1, 28, 6, 5, 1)),
        ("LeNet-5 6 -> 16, 14x14, 5x5", ConvShape { padding: [0; 4], ..conv(6, 14, 16, 5, 1) }),
        ("depthwise 64, 16x16", ConvShape { groups: 64, ..conv(64, 16, 64, 3, 1) }),
    ]
}

const LINEAR: [(&str, usize, usize); 6] = [
    ("MLP 784 -> 300", 784, 300),
    ("MLP 300 -> 100", 300, 100),
    ("MLP 100 -> 10", 100, 10),
    ("LeNet-5 400 -> 120", 400, 120),
    ("LeNet-5 120 -> 84", 120, 84),
    ("ResNet-20 64 -> 10", 64, 10),
];

/// Which outputs are computed.
#[derive(Clone, Copy)]
enum Part {
    All,
    Channel,
    Windows,
}

#[derive(Clone, Copy)]
enum Values {
    Ordinary,
    OneSubnormalWeight,
    SubnormalInputs,
}

fn ordinary(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0).collect()
}

/// GFLOP/s of a convolution with bias, batch norm and ReLU.
fn convolve(isa: Isa, shape: &ConvShape, part: Part, values: Values) -> f64 {
    let [channels, h, w] = shape.input;
    let [height, width] = shape.output();
    let (rows, taps) =
        (shape.out_channels / shape.groups, channels / shape.groups * shape.kernel[0] * shape.kernel[1]);
    // Short runs, so that some are never interrupted.
    let images = (100_000_000 / (shape.out_channels * height * width * taps)).clamp(4, 16);
    let mut input = ordinary(images * channels * h * w);
    if let Values::SubnormalInputs = values {
        for x in &mut input {
            *x *= f32::MIN_POSITIVE / 4.0;
        }
    }
    let mut weights = PackedWeights::new(isa, &ordinary(shape.out_channels * taps), shape.groups, rows, taps);
    if let Values::OneSubnormalWeight = values {
        weights.set(taps, 1e-40);
    }
    let per_channel = ordinary(shape.out_channels);
    let epilogue = Epilogue {
        bias: None,
        affine: Some((&per_channel, &per_channel)),
        residual: None,
        activation: Activation::Relu,
    };
    let all = [shape.out_channels, height, width];
    let regions: Vec<_> = (0..images)
        .map(|image| match part {
            Part::All => Region::whole(image, all),
            Part::Channel => Region { channels: 3..4, ..Region::whole(image, all) },
            Part::Windows => {
                let (y, x) = (image * 5 % (height - 2), image * 7 % (width - 2));
                Region { rows: y..y + 3, columns: x..x + 3, ..Region::whole(image, all) }
            }
        })
        .collect();
    let outputs: usize = regions.iter().map(Region::len).sum();
    let mut output = vec![0.0; images * shape.out_channels * height * width];
    let mut scratch = Scratch::default();
    let seconds = best(|| match part {
        Part::All => conv2d(shape, images, &input, &weights, &epilogue, &mut output, &mut scratch),
        _ => {
            conv2d_regions(shape, images, &input, &weights, &epilogue, &mut output, &regions, &mut scratch);
        }
    });
    2e-9 * (outputs * taps) as f64 / seconds
}

/// GFLOP/s of a linear layer with bias and ReLU.
fn multiply(isa: Isa, rows: usize, inputs: usize, outputs: usize) -> f64 {
    let input = ordinary(rows * inputs);
    let weights = PackedWeights::new(isa, &ordinary(outputs * inputs), 1, outputs, inputs);
    let bias = ordinary(outputs);
    let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Relu, ..Epilogue::default() };
    let mut output = vec![0.0; rows * outputs];
    let mut scratch = Scratch::default();
    let seconds = best(|| linear(&input, &weights, &epilogue, &mut output, &mut scratch));
    2e-9 * (rows * inputs * outputs) as f64 / seconds
}

/// Seconds of the fastest run.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 5 || start.elapsed() < TIME {
        let before = Instant::now();
        run();
        best = best.min(before.elapsed());
        runs += 1;
    }
    best.as_secs_f64()
}

const ROUNDS: usize = 10_000;

/// GFLOP/s of multiply-adds on registers.
#[expect(unsafe_code, reason = "the processor's features are known at run time only")]
fn peak(isa: Isa) -> f64 {
    let (flops, seconds) = match isa {
        // SAFETY: the instructions are available: `main` asked.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (2 * 16 * x86::CHAINS, best(|| unsafe { x86::avx512() })),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (2 * 8 * x86::CHAINS, best(|| unsafe { x86::avx2() })),
        _ => (2 * 64, best(portable)),
    };
    1e-9 * (flops * ROUNDS) as f64 / seconds
}

/// Sixty-four chains: what a compiler makes of them.
fn portable() {
    let mut sums = [1.0f32; 64];
    let (a, b) = (black_box(0.5f32), black_box(1.0f32));
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = sum.mul_add(a, b);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    use super::ROUNDS;

    /// Enough to hide the latency of a multiply-add, and fewer than there are registers.
    pub(super) const CHAINS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512() {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums = [a; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2() {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut sums = [a; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }
}
