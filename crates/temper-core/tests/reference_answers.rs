//! Known answers of the reference evaluator, worked out by hand: mostly the cases that ordinary inputs do not reach.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::network::{Network, Node, NodeId, Op, Padding2d, Pair};

pub mod reference;

/// The output of one operator for one image.
fn run(op: Op, shape: &[usize], input: &[f32], parameters: &[(&str, &[usize], &[f32])]) -> Vec<f64> {
    let nodes = vec![
        Node { name: "input".to_owned(), op: Op::Input { shape: shape.to_vec() }, inputs: vec![] },
        Node { name: "op".to_owned(), op, inputs: vec![NodeId(0)] },
    ];
    let parameters: BTreeMap<String, Tensor> = parameters
        .iter()
        .map(|(suffix, shape, data)| {
            (
                format!("op.{suffix}"),
                Tensor::new(shape.to_vec(), data.to_vec()).expect("values fill the shape"),
            )
        })
        .collect();
    let network = Network::new(nodes, NodeId(1), parameters).expect("a valid network");
    reference::evaluate(&network, input, 1).remove(1)
}

/// Equal, with NaN equal to NaN.
fn assert_same(found: &[f64], expected: &[f64]) {
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(same),
        "{found:?} is not {expected:?}"
    );
}

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn avg_pool(padding: Padding2d, ceil_mode: bool, count_include_pad: bool) -> Op {
    let kernel = Pair { height: 1, width: 3 };
    let stride = Pair { height: 1, width: 2 };
    Op::AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad }
}

fn max_pool(width: usize, stride: usize, padding: Padding2d, dilation: usize, ceil_mode: bool) -> Op {
    Op::MaxPool2d {
        kernel: Pair { height: 1, width },
        stride: Pair { height: 1, width: stride },
        padding,
        dilation: Pair { height: 1, width: dilation },
        ceil_mode,
    }
}

#[test]
fn activations_keep_nan_and_infinities() {
    let (x, n) = ([-2.0, -0.5, 0.0, 3.0, INF, -INF, NAN], f64::NAN);
    let inf = f64::INFINITY;
    assert_same(&run(Op::Relu, &[7], &x, &[]), &[0.0, 0.0, 0.0, 3.0, inf, 0.0, n]);
    let leaky = Op::LeakyRelu { negative_slope: 0.5 };
    assert_same(&run(leaky, &[7], &x, &[]), &[-1.0, -0.25, 0.0, 3.0, inf, -inf, n]);
    let clip = Op::Clip { min: -1.0, max: 2.0 };
    assert_same(&run(clip, &[7], &x, &[]), &[-1.0, -0.5, 0.0, 2.0, 2.0, -1.0, n]);
    assert_same(&run(Op::Sigmoid, &[4], &[0.0, INF, -INF, NAN], &[]), &[0.5, 1.0, 0.0, n]);
    assert_same(&run(Op::Tanh, &[4], &[0.0, INF, -INF, NAN], &[]), &[0.0, 1.0, -1.0, n]);
}

#[test]
fn softmax_survives_large_inputs_and_shows_nan() {
    let softmax = || Op::Softmax { axis: 0 };
    assert_same(&run(softmax(), &[2], &[3e38, 3e38], &[]), &[0.5, 0.5]);
    assert_same(&run(softmax(), &[3], &[-INF, 1.0, 1.0], &[]), &[0.0, 0.5, 0.5]);
    assert_same(&run(softmax(), &[2], &[INF, 1.0], &[]), &[f64::NAN; 2]);
    assert_same(&run(softmax(), &[2], &[NAN, 1.0], &[]), &[f64::NAN; 2]);
    // Along the first of two dimensions.
    assert_same(&run(softmax(), &[2, 2], &[1.0, 5.0, 1.0, 5.0], &[]), &[0.5; 4]);
}

#[test]
fn a_maximum_is_nan_if_any_value_is_but_never_padding() {
    let left = Padding2d { left: 1, ..Padding2d::NONE };
    let x = [-4.0, -3.0, NAN, -1.0, -2.0];
    let n = f64::NAN;
    assert_same(&run(max_pool(2, 2, left, 1, false), &[1, 1, 5], &x, &[]), &[-4.0, n, -1.0]);
    assert_same(&run(max_pool(2, 2, Padding2d::NONE, 1, true), &[1, 1, 5], &x, &[]), &[-3.0, n, -2.0]);
    assert_same(&run(max_pool(2, 1, Padding2d::NONE, 3, false), &[1, 1, 5], &x, &[]), &[-1.0, -2.0]);
    assert_same(&run(Op::GlobalMaxPool, &[2, 1, 2], &[-1.0, -2.0, NAN, 7.0], &[]), &[-1.0, n]);
}

#[test]
fn divisors_of_an_average_are_pytorchs() {
    // torch.nn.functional.avg_pool1d(tensor([[[3., 6, 9, 12]]]), 3, 2, 1, ceil_mode, count_include_pad)
    let x = [3.0, 6.0, 9.0, 12.0];
    let one = Padding2d { left: 1, right: 1, ..Padding2d::NONE };
    assert_same(&run(avg_pool(one, false, true), &[1, 1, 4], &x, &[]), &[3.0, 9.0]);
    assert_same(&run(avg_pool(one, false, false), &[1, 1, 4], &x, &[]), &[4.5, 9.0]);
    // The last window covers 12, one column of padding, and one beyond that: 12 / 2.
    assert_same(&run(avg_pool(one, true, true), &[1, 1, 4], &x, &[]), &[3.0, 9.0, 6.0]);
    assert_same(&run(avg_pool(one, true, false), &[1, 1, 4], &x, &[]), &[4.5, 9.0, 12.0]);
}

#[test]
fn convolution_groups_dilates_strides_and_pads() {
    let op = |padding, dilation, groups| Op::Conv2d {
        in_channels: 2,
        out_channels: 2,
        kernel: Pair { height: 1, width: 2 },
        stride: Pair { height: 1, width: 2 },
        padding,
        dilation: Pair { height: 1, width: dilation },
        groups,
        bias: true,
    };
    let x = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
    let bias: (&str, &[usize], &[f32]) = ("bias", &[2], &[100.0, 200.0]);
    let depthwise: (&str, &[usize], &[f32]) = ("weight", &[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    let left = Padding2d { left: 1, right: 0, ..Padding2d::NONE };
    assert_same(
        &run(op(left, 1, 2), &[2, 1, 4], &x, &[depthwise, bias]),
        &[0.0 + 2.0 + 100.0, 2.0 + 6.0 + 100.0, 0.0 + 40.0 + 200.0, 60.0 + 120.0 + 200.0],
    );
    let full: (&str, &[usize], &[f32]) = ("weight", &[2, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0, INF, 0.0]);
    assert_same(
        &run(op(Padding2d::NONE, 3, 1), &[2, 1, 4], &x, &[full, bias]),
        &[1.0 + 8.0 + 30.0 + 160.0 + 100.0, f64::INFINITY],
    );
    // Zeros of the padding are multiplied like any other: 0 · ∞.
    assert_same(&run(op(left, 1, 1), &[2, 1, 4], &x, &[full, bias])[2..], &[f64::NAN, f64::INFINITY]);
}

#[test]
fn shapes_are_rearranged_in_row_major_order() {
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let transposed = run(Op::Transpose { perm: vec![1, 2, 0] }, &[2, 1, 3], &x, &[]);
    assert_same(&transposed, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let pad = Op::Pad { before: vec![1, 0], after: vec![0, 1], value: 9.0 };
    assert_same(&run(pad, &[2, 2], &x[..4], &[]), &[9.0, 9.0, 9.0, 1.0, 2.0, 9.0, 3.0, 4.0, 9.0]);
    let linear = Op::Linear { in_features: 3, out_features: 1, bias: true };
    let parameters: [(&str, &[usize], &[f32]); 2] =
        [("weight", &[1, 3], &[1.0, 10.0, 100.0]), ("bias", &[1], &[0.5])];
    assert_same(&run(linear, &[2, 3], &x, &parameters), &[321.5, 654.5]);
}

#[test]
fn batch_norm_and_global_mean_act_on_channels() {
    let op = Op::BatchNorm { num_features: 2, eps: 1.0 };
    let parameters: [(&str, &[usize], &[f32]); 4] = [
        ("weight", &[2], &[2.0, 1.0]),
        ("bias", &[2], &[0.0, 10.0]),
        ("running_mean", &[2], &[1.0, 2.0]),
        ("running_var", &[2], &[3.0, 0.0]),
    ];
    assert_same(&run(op, &[2, 1, 2], &[1.0, 3.0, 2.0, 5.0], &parameters), &[0.0, 2.0, 10.0, 13.0]);
    assert_same(&run(Op::GlobalAvgPool, &[2, 1, 2], &[1.0, 3.0, INF, 5.0], &[]), &[2.0, f64::INFINITY]);
}

#[test]
fn several_images_and_inputs() {
    let node = |name: &str, op, inputs: &[usize]| Node {
        name: name.to_owned(),
        op,
        inputs: inputs.iter().map(|&i| NodeId(i)).collect(),
    };
    let nodes = vec![
        node("input", Op::Input { shape: vec![2, 2] }, &[]),
        node("row", Op::Constant { shape: vec![2] }, &[]),
        node("sum", Op::Add, &[0, 1]),
        node("column", Op::Constant { shape: vec![2, 1] }, &[]),
        node("product", Op::Mul, &[3, 2]),
        node("both", Op::Concat { axis: 1 }, &[4, 3, 0]),
    ];
    let parameters = BTreeMap::from([
        ("row.value".to_owned(), Tensor::new(vec![2], vec![10.0, 20.0]).unwrap()),
        ("column.value".to_owned(), Tensor::new(vec![2, 1], vec![1.0, 2.0]).unwrap()),
    ]);
    let network = Network::new(nodes, NodeId(5), parameters).unwrap();
    let outputs = reference::evaluate(&network, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2);
    assert_same(&outputs[1], &[10.0, 20.0, 10.0, 20.0]);
    assert_same(&outputs[4], &[11.0, 22.0, 26.0, 48.0, 15.0, 26.0, 34.0, 56.0]);
    assert_same(&outputs[5][..10], &[11.0, 22.0, 1.0, 1.0, 2.0, 26.0, 48.0, 2.0, 3.0, 4.0]);
}
