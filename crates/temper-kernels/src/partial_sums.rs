//! How large the partial sums of a product are: what its rounding errors follow from.

use crate::conv::ConvShape;
use crate::isa::Isa;
use crate::pack::PackedWeights;

/// For every output of a convolution of one image: the magnitude of its chain's sum, and the magnitudes of all its partial sums added
/// up. A chain of fused multiply-adds errs by at most the unit roundoff times the latter (running error analysis; Higham, *Accuracy and
/// Stability of Numerical Algorithms*, 2nd ed., §3.3). Taps on padding add exact zeros and count nothing.
///
/// **Shapes**: `input` `[C, H, W]`, `sums` and `partial` `[out_channels, H', W']`.
///
/// # Panics
/// When the slices do not have these shapes.
pub fn conv2d_partial_sums(
    shape: &ConvShape,
    input: &[f32],
    weights: &PackedWeights,
    sums: &mut [f32],
    partial: &mut [f32],
) {
    assert_eq!(input.len(), shape.input.iter().product::<usize>(), "input must be [C, H, W]");
    let outputs = shape.out_channels * shape.output().iter().product::<usize>();
    assert_eq!([sums.len(), partial.len()], [outputs; 2], "outputs must be [out_channels, H', W']");
    let mut job = Job { shape, input, weights, sums, partial };
    #[cfg(target_arch = "x86_64")]
    if weights.isa() != Isa::Portable {
        #[expect(unsafe_code, reason = "the processor's features are known at run time only")]
        // SAFETY: whoever has AVX-512 has AVX2 and FMA, and `PackedWeights::new` checked for one of them.
        unsafe {
            run_avx2(&mut job);
        }
        return;
    }
    job.run();
}

struct Job<'a> {
    shape: &'a ConvShape,
    input: &'a [f32],
    weights: &'a PackedWeights,
    sums: &'a mut [f32],
    partial: &'a mut [f32],
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(job: &mut Job<'_>) {
    job.run();
}

impl Job<'_> {
    #[inline(always)]
    fn run(&mut self) {
        let ConvShape { input: [channels, height, width], kernel, stride, padding, dilation, .. } =
            *self.shape;
        let [out_height, out_width] = self.shape.output();
        let plane = out_height * out_width;
        let per_group = channels / self.shape.groups;
        let outputs = self.shape.out_channels / self.shape.groups;
        self.sums.fill(0.0);
        self.partial.fill(0.0);
        let columns = self.weights.columns();
        for out in 0..self.shape.out_channels {
            let sums = &mut self.sums[out * plane..][..plane];
            let partial = &mut self.partial[out * plane..][..plane];
            for tap in 0..columns {
                let weight = self.weights.get(out * columns + tap);
                let (channel, ky, kx) =
                    (tap / (kernel[0] * kernel[1]), tap / kernel[1] % kernel[0], tap % kernel[1]);
                let channel = out / outputs * per_group + channel;
                let (y_offset, x_offset) = (ky * dilation[0], kx * dilation[1]);
                // Outputs whose tap lies in the image.
                let first = padding[1].saturating_sub(x_offset).div_ceil(stride[1]);
                let end = (width + padding[1]).saturating_sub(x_offset).div_ceil(stride[1]).min(out_width);
                for y in 0..out_height {
                    let Some(row) = (y * stride[0] + y_offset).checked_sub(padding[0]) else { continue };
                    if row >= height || first >= end {
                        continue;
                    }
                    let row = &self.input[(channel * height + row) * width..][..width];
                    let from = &row[first * stride[1] + x_offset - padding[1]..];
                    let sums = &mut sums[y * out_width + first..y * out_width + end];
                    let partial = &mut partial[y * out_width + first..y * out_width + end];
                    add(weight, from, stride[1], sums, partial);
                }
            }
        }
        self.sums.iter_mut().for_each(|sum| *sum = sum.abs());
    }
}

/// One tap along a row of outputs.
#[inline(always)]
fn add(weight: f32, from: &[f32], stride: usize, sums: &mut [f32], partial: &mut [f32]) {
    if stride == 1 {
        for ((sum, partial), &x) in sums.iter_mut().zip(partial).zip(from) {
            *sum = weight.mul_add(x, *sum);
            *partial += sum.abs();
        }
        return;
    }
    for ((sum, partial), &x) in sums.iter_mut().zip(partial).zip(from.iter().step_by(stride)) {
        *sum = weight.mul_add(x, *sum);
        *partial += sum.abs();
    }
}
