//! A reference evaluator: what a [`Network`] means, as plainly as it can be written.
//!
//! Every operator is a function from an index of its output to one value, in `f64`, by direct loops over the definition; no
//! operator knows of the batch. It is slow and meant to be read. Where PyTorch and ONNX leave room, this is the meaning:
//!
//! - Padding of a convolution is zeros that take part: an infinite weight over the padding gives NaN (`0 · ∞`).
//! - A maximum is NaN as soon as one value under the window is NaN; padding never takes part.
//! - `relu`, `leaky-relu` and `clip` keep NaN.
//! - The divisor of an average with `count_include_pad` counts the window's taps inside the padded input: what `ceil_mode`
//!   adds beyond the padding does not count (PyTorch; ONNX from operator set 19).
//! - Softmax subtracts the maximum first, so large inputs do not overflow; a NaN or `+∞` among the inputs makes every output
//!   along the axis NaN.

use temper_core::execution::Tap;
use temper_core::network::{Network, Node, NodeId, Op, Padding2d, Pair};

/// The outputs of all nodes for a batch of images.
///
/// `input` is `[batch, …input shape]`; element `i` of the result is node `i`'s output `[batch, …its shape]`, both row-major. A
/// constant's value is repeated for every image. The network's logits are the element at `network.output().0`.
///
/// Parameters are read as `f32` and everything is computed in `f64`.
///
/// # Panics
/// When `input` does not hold `batch` images.
pub(crate) fn evaluate(network: &Network, input: &[f32], batch: usize) -> Vec<Vec<f64>> {
    evaluate_changed(network, input, batch, &|_, _| {})
}

/// [`evaluate`], where `change` may alter, image by image, every node's first input as this node alone sees it and every node's
/// output as all its consumers see it.
pub(crate) fn evaluate_changed(
    network: &Network,
    input: &[f32],
    batch: usize,
    change: &dyn Fn(Tap, &mut [f64]),
) -> Vec<Vec<f64>> {
    let size: usize = network.input_shape().iter().product();
    assert_eq!(input.len(), batch * size, "the input must hold {batch} images of {size} values");
    let mut outputs = vec![Vec::new(); network.nodes().len()];
    for image in input.chunks_exact(size) {
        for (output, value) in outputs.iter_mut().zip(evaluate_image(network, image, change)) {
            output.extend(value.data);
        }
    }
    outputs
}

/// A dense row-major array without a batch dimension.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Array {
    fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self { shape: shape.to_vec(), data: data.iter().map(|&x| f64::from(x)).collect() }
    }

    /// The array of `shape` whose element at every index is `value(index)`.
    fn build(shape: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> Self {
        let count = shape.iter().product();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::with_capacity(count);
        for _ in 0..count {
            data.push(value(&index));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Self { shape: shape.to_vec(), data }
    }

    fn at(&self, index: &[usize]) -> f64 {
        self.data[self.shape.iter().zip(index).fold(0, |offset, (extent, i)| offset * extent + i)]
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// The element of an image `[C, H, W]`, or `None` outside of it.
    fn pixel(&self, channel: usize, row: isize, column: isize) -> Option<f64> {
        let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
        (row < self.shape[1] && column < self.shape[2]).then(|| self.at(&[channel, row, column]))
    }
}

fn evaluate_image(network: &Network, image: &[f32], change: &dyn Fn(Tap, &mut [f64])) -> Vec<Array> {
    let mut values: Vec<Array> = Vec::with_capacity(network.nodes().len());
    for (node, id) in network.nodes().iter().zip((0..).map(NodeId)) {
        let mut first = node.inputs.first().map(|input| values[input.0].clone());
        if let Some(first) = &mut first {
            change(Tap::input(id), &mut first.data);
        }
        let others = node.inputs.iter().skip(1).map(|input| &values[input.0]);
        let inputs: Vec<&Array> = first.iter().chain(others).collect();
        let shape = network.shape(id);
        let mut value = match &node.op {
            Op::Input { shape } => Array::from_f32(shape, image),
            _ => apply(network, node, &inputs, shape),
        };
        assert_eq!(value.shape, shape, "node {}", node.name);
        change(Tap::output(id), &mut value.data);
        values.push(value);
    }
    values
}

/// What `node` makes of `inputs`; `shape` is the shape of its output.
fn apply(network: &Network, node: &Node, inputs: &[&Array], shape: &[usize]) -> Array {
    let parameter = |suffix: &str| {
        let tensor = &network.tensors()[&format!("{}.{suffix}", node.name)];
        Array::from_f32(tensor.shape(), tensor.data())
    };
    match &node.op {
        Op::Input { .. } => unreachable!("the input is not computed"),
        Op::Constant { .. } => parameter("value"),
        Op::Conv2d { bias, .. } => {
            conv2d(&node.op, inputs[0], &parameter("weight"), bias.then(|| parameter("bias")).as_ref(), shape)
        }
        Op::Linear { bias, .. } => {
            linear(inputs[0], &parameter("weight"), bias.then(|| parameter("bias")).as_ref(), shape)
        }
        Op::BatchNorm { eps, .. } => {
            let (weight, bias) = (parameter("weight"), parameter("bias"));
            let (mean, variance) = (parameter("running_mean"), parameter("running_var"));
            Array::build(shape, |index| {
                let c = index[0];
                let normalised =
                    (inputs[0].at(index) - mean.data[c]) / (variance.data[c] + f64::from(*eps)).sqrt();
                normalised * weight.data[c] + bias.data[c]
            })
        }
        Op::Relu => inputs[0].map(|x| if x < 0.0 { 0.0 } else { x }),
        Op::LeakyRelu { negative_slope } => {
            inputs[0].map(|x| if x > 0.0 { x } else { f64::from(*negative_slope) * x })
        }
        Op::Clip { min, max } => inputs[0].map(|x| {
            let (min, max) = (f64::from(*min), f64::from(*max));
            if x < min {
                min
            } else if x > max {
                max
            } else {
                x
            }
        }),
        Op::Sigmoid => inputs[0].map(|x| 1.0 / (1.0 + (-x).exp())),
        Op::Tanh => inputs[0].map(f64::tanh),
        Op::MaxPool2d { kernel, stride, padding, dilation, .. } => {
            max_pool(inputs[0], *kernel, *stride, *padding, *dilation, shape)
        }
        Op::AvgPool2d { kernel, stride, padding, count_include_pad, .. } => {
            avg_pool(inputs[0], *kernel, *stride, *padding, *count_include_pad, shape)
        }
        Op::GlobalAvgPool => Array::build(shape, |index| {
            let channel = channel(inputs[0], index[0]);
            channel.iter().sum::<f64>() / channel.len() as f64
        }),
        Op::GlobalMaxPool => Array::build(shape, |index| maximum(channel(inputs[0], index[0]))),
        Op::Add => broadcast(inputs[0], inputs[1], shape, |a, b| a + b),
        Op::Mul => broadcast(inputs[0], inputs[1], shape, |a, b| a * b),
        Op::Concat { axis } => concat(inputs, *axis, shape),
        Op::Pad { before, value, .. } => pad(inputs[0], before, f64::from(*value), shape),
        // Row-major data stays where it is.
        Op::Flatten | Op::Reshape { .. } => Array { shape: shape.to_vec(), data: inputs[0].data.clone() },
        Op::Transpose { perm } => Array::build(shape, |index| {
            let mut from = vec![0; index.len()];
            for (i, &axis) in perm.iter().enumerate() {
                from[axis] = index[i];
            }
            inputs[0].at(&from)
        }),
        Op::Softmax { axis } => softmax(inputs[0], *axis, shape),
        Op::Dropout => inputs[0].map(|x| x),
    }
}

/// `y[o, i, j] = bias[o] + Σ_{c, p, q} weight[o, c, p, q] · x[group · C_g + c, i·s + p·d − top, j·s + q·d − left]`.
fn conv2d(op: &Op, input: &Array, weight: &Array, bias: Option<&Array>, shape: &[usize]) -> Array {
    let Op::Conv2d { in_channels, out_channels, kernel, stride, padding, dilation, groups, .. } = op else {
        unreachable!("called for convolutions only")
    };
    let (inputs_per_group, outputs_per_group) = (in_channels / groups, out_channels / groups);
    Array::build(shape, |index| {
        let (out, group) = (index[0], index[0] / outputs_per_group);
        let mut sum = bias.map_or(0.0, |bias| bias.data[out]);
        for c in 0..inputs_per_group {
            for p in 0..kernel.height {
                for q in 0..kernel.width {
                    let row = tap(index[1], stride.height, p, dilation.height, padding.top);
                    let column = tap(index[2], stride.width, q, dilation.width, padding.left);
                    let x = input.pixel(group * inputs_per_group + c, row, column).unwrap_or(0.0);
                    sum += weight.at(&[out, c, p, q]) * x;
                }
            }
        }
        sum
    })
}

/// The input row (or column) under tap `k` of the window that makes output row `out`; negative in the padding before.
fn tap(out: usize, stride: usize, k: usize, dilation: usize, padding_before: usize) -> isize {
    (out * stride + k * dilation) as isize - padding_before as isize
}

/// `y[…, o] = bias[o] + Σ_i weight[o, i] · x[…, i]`.
fn linear(input: &Array, weight: &Array, bias: Option<&Array>, shape: &[usize]) -> Array {
    Array::build(shape, |index| {
        let mut from = index.to_vec();
        let last = from.len() - 1;
        let mut sum = bias.map_or(0.0, |bias| bias.data[index[last]]);
        for i in 0..weight.shape[1] {
            from[last] = i;
            sum += weight.at(&[index[last], i]) * input.at(&from);
        }
        sum
    })
}

/// The largest value, NaN if one is NaN.
fn maximum(values: &[f64]) -> f64 {
    values.iter().fold(f64::NEG_INFINITY, |max, &x| if x > max || x.is_nan() { x } else { max })
}

fn max_pool(
    input: &Array,
    kernel: Pair,
    stride: Pair,
    padding: Padding2d,
    dilation: Pair,
    shape: &[usize],
) -> Array {
    Array::build(shape, |index| {
        let mut window = Vec::new();
        for p in 0..kernel.height {
            for q in 0..kernel.width {
                let row = tap(index[1], stride.height, p, dilation.height, padding.top);
                let column = tap(index[2], stride.width, q, dilation.width, padding.left);
                window.extend(input.pixel(index[0], row, column));
            }
        }
        maximum(&window)
    })
}

fn avg_pool(
    input: &Array,
    kernel: Pair,
    stride: Pair,
    padding: Padding2d,
    count_include_pad: bool,
    shape: &[usize],
) -> Array {
    let rows_end = (input.shape[1] + padding.bottom) as isize;
    let columns_end = (input.shape[2] + padding.right) as isize;
    Array::build(shape, |index| {
        let (mut sum, mut taps_in_input, mut taps_in_padded) = (0.0, 0usize, 0usize);
        for p in 0..kernel.height {
            for q in 0..kernel.width {
                let row = tap(index[1], stride.height, p, 1, padding.top);
                let column = tap(index[2], stride.width, q, 1, padding.left);
                if let Some(x) = input.pixel(index[0], row, column) {
                    sum += x;
                    taps_in_input += 1;
                }
                // No tap lies before the padding.
                if row < rows_end && column < columns_end {
                    taps_in_padded += 1;
                }
            }
        }
        sum / if count_include_pad { taps_in_padded } else { taps_in_input } as f64
    })
}

/// All values of one channel of an image.
fn channel(input: &Array, channel: usize) -> &[f64] {
    let area = input.shape[1] * input.shape[2];
    &input.data[channel * area..][..area]
}

/// As in NumPy: shapes are aligned at their last dimensions, and an extent of 1 is repeated.
fn broadcast(a: &Array, b: &Array, shape: &[usize], f: impl Fn(f64, f64) -> f64) -> Array {
    let at = |array: &Array, index: &[usize]| {
        let aligned = &index[index.len() - array.shape.len()..];
        let from: Vec<usize> =
            aligned.iter().zip(&array.shape).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        array.at(&from)
    };
    Array::build(shape, |index| f(at(a, index), at(b, index)))
}

fn concat(inputs: &[&Array], axis: usize, shape: &[usize]) -> Array {
    Array::build(shape, |index| {
        let mut from = index.to_vec();
        for input in inputs {
            if from[axis] < input.shape[axis] {
                return input.at(&from);
            }
            from[axis] -= input.shape[axis];
        }
        unreachable!("the extents along the axis add up to the output's")
    })
}

fn pad(input: &Array, before: &[usize], value: f64, shape: &[usize]) -> Array {
    Array::build(shape, |index| {
        let from: Option<Vec<usize>> = (0..index.len())
            .map(|axis| index[axis].checked_sub(before[axis]).filter(|&i| i < input.shape[axis]))
            .collect();
        from.map_or(value, |from| input.at(&from))
    })
}

fn softmax(input: &Array, axis: usize, shape: &[usize]) -> Array {
    Array::build(shape, |index| {
        let mut from = index.to_vec();
        let along: Vec<f64> = (0..shape[axis])
            .map(|i| {
                from[axis] = i;
                input.at(&from)
            })
            .collect();
        let max = maximum(&along);
        let sum: f64 = along.iter().map(|x| (x - max).exp()).sum();
        (along[index[axis]] - max).exp() / sum
    })
}
