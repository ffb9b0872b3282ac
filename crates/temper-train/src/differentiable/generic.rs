//! Operators as Burn computes them, on any device: activations are `[images, values]`, parameters `[values]`.

use burn::tensor::activation::{leaky_relu, log_softmax, relu, sigmoid, softmax};
use burn::tensor::module::{avg_pool2d, batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Int, Tensor, TensorData};
use temper_kernels::{ConvShape, PoolShape};

/// `[images, C, H, W]` from `[images, C·H·W]`.
fn images(x: Tensor<2>, [channels, height, width]: [usize; 3]) -> Tensor<4> {
    let count = x.dims()[0];
    x.reshape([count, channels, height, width])
}

/// `[images, values]` from any other shape with images first.
fn flat<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    let count = x.dims()[0];
    let values = x.shape().num_elements() / count.max(1);
    x.reshape([count, values])
}

/// Convolution; see [`ConvShape`] for the geometry.
///
/// **Shapes**: `x` `[images, C·H·W]`, `weight` `[out·in/groups·kh·kw]`, `bias` `[out]` → `[images, out·H'·W']`.
pub(crate) fn convolution(
    shape: &ConvShape,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let [channels, ..] = shape.input;
    let [top, left, bottom, right] = shape.padding;
    let weight =
        weight.reshape([shape.out_channels, channels / shape.groups, shape.kernel[0], shape.kernel[1]]);
    let padding = [(top, bottom), (left, right)];
    let options = ConvOptions::new_with_padding(shape.stride, padding, shape.dilation, shape.groups);
    flat(conv2d(images(x, shape.input), weight, bias, options))
}

/// `x Wᵀ + b` over the last dimension.
///
/// **Shapes**: `x` `[images, rows·in]`, `weight` `[out·in]`, `bias` `[out]` → `[images, rows·out]`.
pub(crate) fn linear(
    [outputs, inputs]: [usize; 2],
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let [count, values] = x.dims();
    let rows = count * values / inputs;
    let product = x.reshape([rows, inputs]).matmul(weight.reshape([outputs, inputs]).transpose());
    let sum = match bias {
        Some(bias) => product + bias.reshape([1, outputs]),
        None => product,
    };
    sum.reshape([count, values / inputs * outputs])
}

/// What batch norm made of a batch.
pub(crate) struct Normalised {
    /// `[images, C·plane]`.
    pub(crate) output: Tensor<2>,
    /// The batch's mean of each channel.
    pub(crate) mean: Vec<f32>,
    /// The batch's variance of each channel, divided by the number of values.
    pub(crate) variance: Vec<f32>,
}

/// Batch norm by the batch's own statistics.
///
/// **Shapes**: `x` `[images, channels·plane]`, `weight` and `bias` `[channels]`.
pub(crate) fn batch_norm_by_batch(
    channels: usize,
    eps: f32,
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
) -> Normalised {
    let [count, values] = x.dims();
    let x = x.reshape([count, channels, values / channels]);
    let made = batch_norm_train(x, weight, bias, f64::from(eps));
    Normalised { output: flat(made.output), mean: host(made.mean), variance: host(made.variance) }
}

/// Batch norm by given statistics.
pub(crate) fn batch_norm_by(
    eps: f32,
    x: Tensor<2>,
    [weight, bias, mean, variance]: [Tensor<1>; 4],
) -> Tensor<2> {
    let [count, values] = x.dims();
    let channels = weight.dims()[0];
    let x = x.reshape([count, channels, values / channels]);
    flat(batch_norm(x, weight, bias, mean, variance, f64::from(eps)))
}

/// Max pooling of every plane. Windows that reach beyond the padding see nothing there. A NaN is the largest of its window, as in
/// `PyTorch`, also on devices whose comparisons lose it.
pub(crate) fn max_pool(shape: &PoolShape, channels: usize, x: Tensor<2>) -> Tensor<2> {
    let [top, left, bottom, right] = full_padding(shape);
    let [height, width] = shape.input;
    let x = images(x, [channels, height, width])
        .pad((left, right, top, bottom), PadMode::Constant(f32::NEG_INFINITY));
    let options =
        || MaxPoolOptions::new(shape.kernel).with_stride(shape.stride).with_dilation(shape.dilation);
    let lost = max_pool2d(x.clone().detach().is_nan().float(), options()).greater_elem(0.0);
    flat(max_pool2d(x, options()).mask_fill(lost, f32::NAN))
}

/// Average pooling of every plane.
pub(crate) fn avg_pool(shape: &PoolShape, count_padding: bool, channels: usize, x: Tensor<2>) -> Tensor<2> {
    let [top, left, bottom, right] = full_padding(shape);
    let [height, width] = shape.input;
    let device = x.device();
    let x = images(x, [channels, height, width]).pad((left, right, top, bottom), PadMode::Constant(0.0));
    let options = AvgPoolOptions::new(shape.kernel).with_stride(shape.stride).with_count_include_pad(true);
    let means = avg_pool2d(x, options);
    // Windows count all their places so far; what does not count leaves the divisor.
    let [rows, columns] = shape.output;
    let all = (shape.kernel[0] * shape.kernel[1]) as f32;
    let factor: Vec<f32> = (0..rows * columns)
        .map(|at| all / shape.divisor(count_padding, at / columns, at % columns) as f32)
        .collect();
    if factor.iter().all(|&factor| factor == 1.0) {
        return flat(means);
    }
    let factor = Tensor::<4>::from_data(TensorData::new(factor, [1, 1, rows, columns]), &device);
    flat(means * factor)
}

/// The padding, with what windows need beyond it at the bottom and at the right.
fn full_padding(shape: &PoolShape) -> [usize; 4] {
    let [top, left, bottom, right] = shape.padding;
    let needed = |i: usize, before: usize, after: usize| {
        let end = (shape.output[i] - 1) * shape.stride[i] + shape.dilation[i] * (shape.kernel[i] - 1) + 1;
        (end.saturating_sub(shape.input[i] + before)).max(after)
    };
    [top, left, needed(0, top, bottom), needed(1, left, right)]
}

/// A function of single values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    Relu,
    LeakyRelu(f32),
    Clip(f32, f32),
    Sigmoid,
    Tanh,
}

/// Applies a function to every value.
pub(crate) fn apply(function: Function, x: Tensor<2>) -> Tensor<2> {
    match function {
        Function::Relu => relu(x),
        Function::LeakyRelu(slope) => leaky_relu(x, f64::from(slope)),
        Function::Clip(min, max) => x.clamp(min, max),
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => x.tanh(),
    }
}

/// Softmax along one of the dimensions `[outer, extent, inner]` of an image.
pub(crate) fn softmax_along([outer, extent, inner]: [usize; 3], x: Tensor<2>) -> Tensor<2> {
    let count = x.dims()[0];
    flat(softmax(x.reshape([count * outer, extent, inner]), 1).reshape([count, outer * extent * inner]))
}

/// Values of an image at other places: value `i` of the result is value `places[i]` of `x`, or `fill` where there is no place.
pub(crate) fn gather(places: &[Option<usize>], fill: f32, x: Tensor<2>) -> Tensor<2> {
    let device = x.device();
    let count = x.dims()[0];
    let constant = Tensor::<2>::full([count, 1], fill, &device);
    let beyond = x.dims()[1];
    let x = Tensor::cat(vec![x, constant], 1);
    let places: Vec<i64> = places.iter().map(|place| place.unwrap_or(beyond) as i64).collect();
    let len = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [len]), &device);
    x.select(1, places)
}

/// Inputs laid one after another along `axis` of their shapes.
pub(crate) fn concat<'a>(
    axis: usize,
    shapes: impl Iterator<Item = &'a [usize]>,
    inputs: Vec<Tensor<2>>,
) -> Tensor<2> {
    let count = inputs[0].dims()[0];
    let blocks = inputs.into_iter().zip(shapes).map(|(x, shape)| {
        let block: usize = shape[axis..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        x.reshape([count, outer, block])
    });
    flat(Tensor::cat(blocks.collect(), 2))
}

/// The value of `value` with the gradient of `clean`: where `clean` is finite, exactly that value.
pub(crate) fn replace(clean: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
    let nothing = clean.clone() - clean.detach();
    value + nothing
}

/// The mean cross-entropy of softmax, `−Σ target · log softmax(logits)`, with targets smoothed as PyTorch does: `1 − s` for the
/// label, `s / classes` for all.
///
/// **Shapes**: `logits` `[images, classes]`, `labels` `[images]` → `[1]`.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f32) -> Tensor<1> {
    let [images, classes] = logits.dims();
    let log_probabilities = log_softmax(logits, 1);
    let of_label = log_probabilities.clone().gather(1, labels.reshape([images, 1]));
    let hard = of_label.mean();
    if smoothing == 0.0 {
        return hard.neg();
    }
    let of_all = log_probabilities.sum() / (images * classes) as f32;
    (hard * (1.0 - smoothing) + of_all * smoothing).neg()
}

/// The values of a tensor, on the host.
pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("tensors hold f32")
}
