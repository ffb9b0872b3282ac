//! Operators on the CPU by `temper-kernels`, recorded in Burn's graph with backward passes of their own.
//!
//! Images are divided between threads. What is added up over images, gradients of parameters and moments of batch norms, is added
//! up in blocks whose number follows from the geometry alone, in their order: results do not depend on the number of threads.

mod bridge;
mod loss;
mod normalise;
mod pool;
mod product;

use std::hint::black_box;
use std::ops::Range;

use burn::tensor::{Device, Tensor};
use rayon::iter::repeat_n;
use rayon::prelude::*;
use temper_kernels::{ConvShape, PoolShape, Scratch};

use super::generic::Normalised;
use bridge::{lift, lower, record};
use loss::CrossEntropy;
use normalise::{BatchNorm, Relu};
use pool::{AvgPool, MaxPool};
use product::{Convolution, Linear};

/// Whether a device is the one these operators are for.
pub(super) fn is_cpu(device: &Device) -> bool {
    *device == Device::flex().autodiff()
}

/// Has the C library of Linux keep what a step frees for the next step: once it has freed a block that large, blocks up to that size are
/// neither mapped nor given back one by one. Fresh memory costs more than what a small network's layers do with it.
pub(super) fn keep_memory() {
    drop(black_box(vec![0_u8; 31 << 20]));
}

/// See [`generic::convolution`](super::generic::convolution).
pub(super) fn convolution(
    shape: &ConvShape,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let operator = Convolution { shape: *shape };
    product(operator, x, weight, bias)
}

/// See [`generic::linear`](super::generic::linear); with ReLU behind it if `relu`.
pub(super) fn linear(
    [outputs, inputs]: [usize; 2],
    relu: bool,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    product(Linear { outputs, inputs, relu }, x, weight, bias)
}

fn product<O>(operator: O, x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>) -> Tensor<2>
where
    O: bridge::Operation<2, Saved = ()> + bridge::Operation<3, Saved = ()>,
{
    let (x, weight) = (lower(x), lower(weight));
    match bias {
        Some(bias) => lift(record(operator, [x, weight, lower(bias)]).0),
        None => lift(record(operator, [x, weight]).0),
    }
}

/// See [`generic::batch_norm_by_batch`](super::generic::batch_norm_by_batch); with ReLU behind it if `relu`.
pub(super) fn batch_norm_by_batch(
    channels: usize,
    eps: f32,
    relu: bool,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
) -> Normalised {
    let operator = BatchNorm { channels, eps, relu };
    let (output, saved) = record(operator, [lower(x), lower(weight), lower(bias)]);
    Normalised { output: lift(output), mean: saved.mean, variance: saved.variance }
}

/// ReLU.
pub(super) fn relu(x: Tensor<2>) -> Tensor<2> {
    lift(record(Relu, [lower(x)]).0)
}

/// See [`generic::max_pool`](super::generic::max_pool).
pub(super) fn max_pool(shape: &PoolShape, x: Tensor<2>) -> Tensor<2> {
    lift(record(MaxPool { shape: *shape }, [lower(x)]).0)
}

/// See [`generic::avg_pool`](super::generic::avg_pool).
pub(super) fn avg_pool(shape: &PoolShape, count_padding: bool, x: Tensor<2>) -> Tensor<2> {
    lift(record(AvgPool { shape: *shape, count_padding }, [lower(x)]).0)
}

/// See [`generic::cross_entropy`](super::generic::cross_entropy).
pub(super) fn cross_entropy(logits: Tensor<2>, labels: &[u8], smoothing: f32) -> Tensor<1> {
    let labels = labels.iter().map(|&label| usize::from(label)).collect();
    lift(record(CrossEntropy { labels, smoothing }, [lower(logits)]).0)
}

/// Work that another thread is woken up for: reading and writing so many values, about 30 µs.
const GRAIN: usize = 1 << 16;

/// Images that a thread takes at a time, where the result does not depend on it.
fn share(images: usize, work: usize) -> usize {
    images.div_ceil((work / GRAIN).clamp(1, 4 * rayon::current_num_threads())).max(1)
}

/// So many zeros, written in parallel if that is worth it.
fn zeros(len: usize) -> Vec<f32> {
    const LINE: usize = 64;
    let lines = repeat_n([0.0; LINE], len.div_ceil(LINE)).with_min_len(GRAIN / LINE);
    let mut zeros = lines.collect::<Vec<_>>().into_flattened();
    zeros.truncate(len);
    zeros
}

/// Fills an output of `images` images, in parallel if that is worth it; `fill` gets a range of images and their part of it.
fn fill_images(images: usize, output: &mut [f32], fill: impl Fn(Range<usize>, &mut [f32]) + Sync) {
    fill_images_with(images, 1, output, |_, range, output| fill(range, output));
}

/// As [`fill_images`], with memory for kernels. `cost` is what a value of the output costs, in values read and written.
fn fill_images_with(
    images: usize,
    cost: usize,
    output: &mut [f32],
    fill: impl Fn(&mut Scratch, Range<usize>, &mut [f32]) + Sync,
) {
    let width = output.len() / images.max(1);
    let share = share(images, cost * output.len());
    if width == 0 {
        return;
    }
    let parts = output.par_chunks_mut(share * width).enumerate();
    parts.for_each_init(Scratch::default, |scratch, (i, output)| {
        let first = i * share;
        fill(scratch, first..first + output.len() / width, output);
    });
}

/// Adds up what blocks of images contribute to `width` values: in parallel if `work` is worth it, in values read and written, and in the
/// order of the blocks.
fn sum_images<T: Copy + Default + Send + Sync>(
    images: usize,
    width: usize,
    work: usize,
    contribute: impl Fn(Range<usize>, &mut [T]) + Sync,
    add: impl Fn(&mut T, &T) + Sync,
) -> Vec<T> {
    let size = block(images, width);
    let blocks = images.div_ceil(size);
    let together = if work < GRAIN { blocks } else { 1 };
    let parts = (0..blocks)
        .into_par_iter()
        .with_min_len(together.max(1))
        .map(|block| {
            let mut part = vec![T::default(); width];
            contribute(block * size..images.min((block + 1) * size), &mut part);
            part
        })
        .collect();
    sum_parts(parts, width, add)
}

/// Images of a block, where each block contributes `width` values: few blocks where these are many, for adding them up takes as long as
/// writing them.
fn block(images: usize, width: usize) -> usize {
    let blocks = ((1 << 22) / width.max(1)).clamp(4, 16).min(images.max(1));
    images.div_ceil(blocks).max(1)
}

/// Adds up `width` values of each part, in the order of the parts.
fn sum_parts<T: Copy + Default + Send + Sync>(
    mut parts: Vec<Vec<T>>,
    width: usize,
    add: impl Fn(&mut T, &T) + Sync,
) -> Vec<T> {
    if parts.is_empty() {
        return vec![T::default(); width];
    }
    let mut sum = parts.remove(0);
    sum.par_chunks_mut(1 << 14).enumerate().for_each(|(i, sum)| {
        for part in &parts {
            for (sum, value) in sum.iter_mut().zip(&part[i << 14..]) {
                add(sum, value);
            }
        }
    });
    sum
}

/// The values of a range of images.
fn of_images(values: &[f32], images: usize, range: &Range<usize>) -> Range<usize> {
    let width = values.len() / images.max(1);
    range.start * width..range.end * width
}
