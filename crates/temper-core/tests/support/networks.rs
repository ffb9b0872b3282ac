//! Networks that several tests run.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::execution::Tap;
use temper_core::network::zoo::{Architecture, Family, Nonlinearity, Pooling, Shortcut};
use temper_core::network::{GraphDescription, Network, NodeId};

use super::noise;

/// The same network with random parameters, scaled so that activations neither vanish nor explode.
pub fn randomised(network: Network, seed: u64) -> Network {
    let mut noise = noise(seed);
    let parameters: BTreeMap<String, Tensor> = network
        .tensors()
        .iter()
        .map(|(path, tensor)| {
            let fan_in: usize = tensor.shape().iter().skip(1).product();
            let value = |x: f32| match path.rsplit('.').next() {
                Some("running_var") => 1.0 + 0.5 * x,
                Some("weight") if tensor.shape().len() > 1 => x * (3.0 / fan_in as f32).sqrt(),
                Some("weight") => 1.0 + 0.3 * x,
                _ => 0.3 * x,
            };
            let data = tensor.data().iter().map(|_| value(noise())).collect();
            (path.clone(), Tensor::new(tensor.shape().to_vec(), data).expect("the same shape"))
        })
        .collect();
    network.with_parameters(parameters).expect("the same paths and shapes")
}

/// Every place of a network that can be tapped, in execution order.
pub fn all_taps(network: &Network) -> Vec<Tap> {
    let nodes = network.nodes().iter().zip((0..).map(NodeId));
    let taps = nodes.flat_map(|(node, id)| {
        let input = (!node.inputs.is_empty()).then_some(Tap::input(id));
        input.into_iter().chain([Tap::output(id)])
    });
    taps.collect()
}

/// Reproducible inputs for a batch.
pub fn inputs(network: &Network, images: usize) -> Vec<f32> {
    let mut noise = noise(99);
    (0..images * network.input_shape().iter().product::<usize>()).map(|_| noise()).collect()
}

/// The bits of every value.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// A network in which every operator occurs, in places where fusion tempts and must hold back.
pub fn every_operator() -> Network {
    let graph = r#"{
      "input": [4, 9, 8],
      "node": [
        {"name": "conv1", "op": {"kind": "conv2d", "in_channels": 4, "out_channels": 6, "kernel": [3, 2], "stride": [2, 1], "padding": [1, 0, 2, 1], "groups": 2}},
        {"name": "bn1", "op": {"kind": "batch-norm", "num_features": 6, "eps": 0.001}},
        {"name": "leaky", "op": {"kind": "leaky-relu", "negative_slope": 0.1}},
        {"name": "conv2", "op": {"kind": "conv2d", "in_channels": 6, "out_channels": 6, "kernel": 3, "padding": 2, "dilation": 2, "bias": false}},
        {"name": "sum", "inputs": ["conv2", "leaky"], "op": {"kind": "add"}},
        {"name": "clip", "op": {"kind": "clip", "min": -0.5, "max": 0.75}},
        {"name": "late_norm", "op": {"kind": "batch-norm", "num_features": 6}},
        {"name": "depthwise", "op": {"kind": "conv2d", "in_channels": 6, "out_channels": 6, "kernel": 3, "padding": 1, "groups": 6}},
        {"name": "twice", "inputs": ["depthwise", "depthwise"], "op": {"kind": "add"}},
        {"name": "scale", "op": {"kind": "constant", "shape": [6, 1, 1]}},
        {"name": "scaled", "inputs": ["twice", "scale"], "op": {"kind": "mul"}},
        {"name": "row", "op": {"kind": "constant", "shape": [8]}},
        {"name": "shifted", "inputs": ["row", "scaled"], "op": {"kind": "add"}},
        {"name": "max", "inputs": ["shifted"], "op": {"kind": "max-pool2d", "kernel": [3, 2], "stride": 2, "padding": [1, 1, 1, 1], "ceil_mode": true}},
        {"name": "max_halving", "inputs": ["shifted"], "op": {"kind": "max-pool2d", "kernel": 2, "stride": 2}},
        {"name": "avg", "inputs": ["shifted"], "op": {"kind": "avg-pool2d", "kernel": 3, "stride": 2, "padding": 1, "count_include_pad": false}},
        {"name": "avg_ceil", "inputs": ["shifted"], "op": {"kind": "avg-pool2d", "kernel": [2, 3], "stride": [2, 2], "ceil_mode": true}},
        {"name": "max_dilated", "inputs": ["shifted"], "op": {"kind": "max-pool2d", "kernel": 2, "stride": 1, "dilation": 2}},
        {"name": "tanh", "inputs": ["max_halving"], "op": {"kind": "tanh"}},
        {"name": "padded", "inputs": ["tanh"], "op": {"kind": "pad", "before": [1, 0, 2], "after": [0, 1, 0], "value": 0.25}},
        {"name": "transposed", "op": {"kind": "transpose", "perm": [2, 0, 1]}},
        {"name": "sigmoid", "op": {"kind": "sigmoid"}},
        {"name": "rows", "op": {"kind": "reshape", "shape": [6, 21]}},
        {"name": "linear_rows", "op": {"kind": "linear", "in_features": 21, "out_features": 5}},
        {"name": "norm_rows", "op": {"kind": "batch-norm", "num_features": 6}},
        {"name": "softmax", "op": {"kind": "softmax", "axis": 0}},
        {"name": "softmax_flat", "op": {"kind": "flatten"}},
        {"name": "max_flat", "inputs": ["max"], "op": {"kind": "flatten"}},
        {"name": "avg_flat", "inputs": ["avg"], "op": {"kind": "flatten"}},
        {"name": "ceil_flat", "inputs": ["avg_ceil"], "op": {"kind": "flatten"}},
        {"name": "dilated_mean", "inputs": ["max_dilated"], "op": {"kind": "global-avg-pool"}},
        {"name": "mean_flat", "op": {"kind": "flatten"}},
        {"name": "peak", "inputs": ["max_dilated"], "op": {"kind": "global-max-pool"}},
        {"name": "peak_flat", "op": {"kind": "flatten"}},
        {"name": "all", "inputs": ["softmax_flat", "max_flat", "avg_flat", "ceil_flat", "mean_flat", "peak_flat"], "op": {"kind": "concat", "axis": 0}},
        {"name": "dropout", "op": {"kind": "dropout"}},
        {"name": "fc1", "op": {"kind": "linear", "in_features": FEATURES, "out_features": 11}},
        {"name": "fc1_norm", "op": {"kind": "batch-norm", "num_features": 11}},
        {"name": "relu", "op": {"kind": "relu"}},
        {"name": "fc2", "op": {"kind": "linear", "in_features": 11, "out_features": 11, "bias": false}},
        {"name": "skip", "inputs": ["relu", "fc2"], "op": {"kind": "add"}},
        {"name": "side", "inputs": ["relu"], "op": {"kind": "linear", "in_features": 11, "out_features": 7}},
        {"name": "join", "inputs": ["skip", "side"], "op": {"kind": "concat", "axis": 0}}
      ]
    }"#;
    let graph: GraphDescription =
        serde_json::from_str(&graph.replace("FEATURES", "276")).expect("valid JSON");
    randomised(graph.build().expect("a sound network"), 1)
}

/// Small examples of every family of the zoo.
pub fn zoo() -> Vec<Architecture> {
    let small =
        |family, widths: &[usize]| Architecture { widths: widths.to_vec(), ..Architecture::new(family) };
    let sigmoid = Architecture {
        nonlinearity: Nonlinearity::Sigmoid,
        pooling: Pooling::Avg,
        input: vec![1, 32, 32],
        padding: 0,
        ..small(Family::Lenet5, &[3, 5, 9, 7])
    };
    vec![
        Architecture { nonlinearity: Nonlinearity::Tanh, ..small(Family::Mlp, &[20, 10]) },
        Architecture::new(Family::Lenet5),
        sigmoid,
        small(Family::Vgg(13), &[4, 5, 6, 7, 8]),
        small(Family::Vgg(16), &[4, 4, 6, 6, 8]),
        small(Family::Resnet(18), &[4, 6, 8, 10]),
        small(Family::Resnet(34), &[3, 4, 5, 6]),
        small(Family::CifarResnet(20), &[4, 8, 16]),
        Architecture { shortcut: Shortcut::B, ..small(Family::CifarResnet(14), &[4, 8, 12]) },
    ]
}
