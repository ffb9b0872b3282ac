//! Rows of analog cells against the same sums, one reading after another.

use proptest::prelude::*;
use temper_kernels::{
    Cells, ConvShape, Features, Isa, PackedWeights, PulseRows, RowEnds, WidthRounding, Windows,
};

/// Numbers that look random, from −1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A layer, its images, and what its cells do.
#[derive(Debug)]
struct Case {
    shape: ConvShape,
    images: usize,
    width: usize,
    own: bool,
    noisy: bool,
    mean: f32,
    rounding: WidthRounding,
    seed: u64,
}

impl Case {
    fn inputs(&self) -> usize {
        self.shape.input[0] * self.shape.kernel.iter().product::<usize>()
    }

    fn positions(&self) -> usize {
        self.shape.output().iter().product()
    }

    fn rows(&self) -> usize {
        self.inputs().div_ceil(self.width)
    }

    /// Whole numbers from 0 to 255.
    fn features(&self) -> Vec<f32> {
        let count = self.images * self.shape.input.iter().product::<usize>();
        numbers(count, self.seed ^ 1).iter().map(|x| (x.abs() * 255.0).round()).collect()
    }

    fn signs(&self) -> Vec<f32> {
        let count = self.shape.out_channels * self.inputs();
        numbers(count, self.seed ^ 2).iter().map(|x| x.signum()).collect()
    }

    /// A factor for each cell: of the inputs, or of the weights.
    fn factors(&self) -> Vec<f32> {
        let count = self.inputs() * if self.own { self.shape.out_channels } else { 1 };
        numbers(count, self.seed ^ 3).iter().map(|x| 1.0 + 0.2 * x).collect()
    }

    /// Reserves so small that some pulses vanish.
    fn ends(&self) -> Vec<RowEnds> {
        let count = self.rows() * self.shape.out_channels;
        let [start, quantiser] = [4, 5].map(|salt| numbers(count, self.seed ^ salt));
        let ends = |(start, q): (f32, f32)| RowEnds {
            start: 700.0 * (1.0 + 0.2 * start),
            quantiser: 1.0 + 0.2 * q,
            zero: 700.0,
        };
        start.into_iter().zip(quantiser).map(ends).collect()
    }

    fn normals(&self) -> Vec<f32> {
        numbers(self.images * self.rows() * self.positions() * self.shape.out_channels, self.seed ^ 6)
    }

    const SIGMA: f32 = 0.1;

    fn kernel(&self, isa: Isa) -> (Vec<f32>, u64) {
        let (outputs, inputs) = (self.shape.out_channels, self.inputs());
        let pack = |values: &[f32]| PackedWeights::new(isa, values, 1, outputs, inputs);
        let (signs, factors) = (self.signs(), self.factors());
        let (weights, cells) = if self.own {
            let signed: Vec<f32> = signs.iter().zip(&factors).map(|(sign, m)| sign * m).collect();
            let squares: Vec<f32> = factors.iter().map(|m| m * m).collect();
            (pack(&signed), Cells::Own(pack(&squares)))
        } else {
            (pack(&signs), Cells::Shared(factors))
        };
        let noise = [self.mean, Self::SIGMA];
        let rows = PulseRows::new(weights, cells, self.width, &self.ends(), self.rounding, noise);
        let (windows, mut placed) = (Windows::of_convolution(&self.shape), Vec::new());
        windows.place(&self.features(), &mut placed);
        let normals = self.normals();
        let features =
            Features { windows: &windows, placed: &placed, normals: self.noisy.then_some(&normals[..]) };
        let mut sums = vec![f32::NAN; self.images * outputs * self.positions()];
        let vanished = rows.run(features, &mut sums);
        (sums, vanished)
    }

    /// The feature that a weight's input is at a position of an image.
    fn feature(&self, features: &[f32], image: usize, position: usize, input: usize) -> f32 {
        let ConvShape { input: [channels, height, width], kernel, stride, padding, dilation, .. } =
            self.shape;
        let [_, columns] = self.shape.output();
        let (channel, tap) = (input / (kernel[0] * kernel[1]), input % (kernel[0] * kernel[1]));
        let row = position / columns * stride[0] + tap / kernel[1] * dilation[0];
        let column = position % columns * stride[1] + tap % kernel[1] * dilation[1];
        let inside = (padding[0]..height + padding[0]).contains(&row)
            && (padding[1]..width + padding[1]).contains(&column);
        if !inside {
            return 0.0;
        }
        let plane = &features[(image * channels + channel) * height * width..];
        plane[(row - padding[0]) * width + column - padding[1]]
    }

    fn by_definition(&self) -> (Vec<f32>, u64) {
        let (outputs, inputs, positions, rows) =
            (self.shape.out_channels, self.inputs(), self.positions(), self.rows());
        let (features, signs, factors) = (self.features(), self.signs(), self.factors());
        let (ends, normals) = (self.ends(), self.normals());
        let mut vanished = 0;
        let mut sums = Vec::new();
        for image in 0..self.images {
            for output in 0..outputs {
                for position in 0..positions {
                    let mut sum = 0.0;
                    for row in 0..rows {
                        let (mut change, mut energy) = (0.0f32, 0.0f32);
                        for input in row * self.width..inputs.min((row + 1) * self.width) {
                            let x = self.feature(&features, image, position, input);
                            let sign = signs[output * inputs + input];
                            if self.own {
                                let m = factors[output * inputs + input];
                                change = (sign * m).mul_add(x, change);
                                energy = (m * m).mul_add(x * x, energy);
                            } else {
                                let x = x * factors[input];
                                change = sign.mul_add(x, change);
                                energy += x * x;
                            }
                        }
                        change *= self.mean;
                        if self.noisy {
                            let at = ((image * rows + row) * positions + position) * outputs + output;
                            change += Self::SIGMA * energy.sqrt() * normals[at];
                        }
                        let ends = ends[row * outputs + output];
                        vanished += u64::from(ends.start + change < 0.0);
                        let width = (ends.start + change).max(0.0) / ends.quantiser;
                        sum += match self.rounding {
                            WidthRounding::Floor => width.floor(),
                            WidthRounding::Nearest => width.round_ties_even(),
                            WidthRounding::None => width,
                        } - ends.zero;
                    }
                    sums.push(sum);
                }
            }
        }
        (sums, vanished)
    }
}

prop_compose! {
    fn case()(
        channels in 1..4usize, out_channels in 1..40usize, side in 3..8usize, kernel in 1..4usize, stride in 1..3usize,
        padding in 0..2usize, dilation in 1..3usize, images in 1..4usize, width in 1..20usize,
        (own, noisy, seed) in (any::<bool>(), any::<bool>(), any::<u64>()),
        mean in prop_oneof![Just(1.0f32), Just(1.1)],
        rounding in prop_oneof![Just(WidthRounding::Floor), Just(WidthRounding::Nearest), Just(WidthRounding::None)],
    ) -> Case {
        let dilation = if (kernel - 1) * dilation < side { dilation } else { 1 };
        let shape = ConvShape {
            input: [channels, side, side + 1], out_channels, kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4],
            dilation: [dilation; 2], groups: 1,
        };
        Case { shape, images, width, own, noisy, mean, rounding, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// To the last bit, on every instruction set.
    #[test]
    fn sums_are_those_of_single_readings(case in case()) {
        let expected = case.by_definition();
        for isa in Isa::available() {
            prop_assert_eq!(case.kernel(isa), expected.clone(), "{:?}", isa);
        }
    }
}
