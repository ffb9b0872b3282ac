//! What networks read from ONNX files look like: nodes, shapes, names, parameters.

use std::io::Write as _;
use std::path::PathBuf;

use temper_core::network::import::onnx;
use temper_core::network::{GraphDescription, Network, NodeId};

fn fixture(name: &str) -> Network {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "onnx", name].iter().collect();
    onnx::read(&std::fs::read(path).expect("the fixture exists")).expect("the model is supported").network
}

/// A line for each node: name, operator, shape of the output.
fn nodes(network: &Network) -> Vec<String> {
    let line = |(i, node): (usize, &temper_core::network::Node)| {
        format!("{} {} {:?}", node.name, node.op.kind(), network.shape(NodeId(i)))
    };
    network.nodes().iter().enumerate().map(line).collect()
}

#[test]
fn a_residual_network_keeps_the_names_of_its_modules() {
    let network = fixture("resnet_a.onnx");
    let expected = [
        "input input [3, 8, 8]",
        "conv1 conv2d [4, 8, 8]",
        "bn1 batch-norm [4, 8, 8]",
        "relu relu [4, 8, 8]",
        "layer1.0.conv1 conv2d [4, 8, 8]",
        "layer1.0.bn1 batch-norm [4, 8, 8]",
        "layer1.0.relu relu [4, 8, 8]",
        "layer1.0.conv2 conv2d [4, 8, 8]",
        "layer1.0.bn2 batch-norm [4, 8, 8]",
        "layer1.0.add add [4, 8, 8]",
        "layer1.0.relu_1 relu [4, 8, 8]",
        "layer1.1.conv1 conv2d [4, 8, 8]",
        "layer1.1.bn1 batch-norm [4, 8, 8]",
        "layer1.1.relu relu [4, 8, 8]",
        "layer1.1.conv2 conv2d [4, 8, 8]",
        "layer1.1.bn2 batch-norm [4, 8, 8]",
        "layer1.1.add add [4, 8, 8]",
        "layer1.1.relu_1 relu [4, 8, 8]",
        "layer2.0.conv1 conv2d [8, 4, 4]",
        "layer2.0.bn1 batch-norm [8, 4, 4]",
        "layer2.0.relu relu [8, 4, 4]",
        "layer2.0.conv2 conv2d [8, 4, 4]",
        "layer2.0.bn2 batch-norm [8, 4, 4]",
        "layer2.0.slice avg-pool2d [4, 4, 8]",
        "layer2.0.slice_1 avg-pool2d [4, 4, 4]",
        "layer2.0.pad pad [8, 4, 4]",
        "layer2.0.add add [8, 4, 4]",
        "layer2.0.relu_1 relu [8, 4, 4]",
        "averagepool avg-pool2d [8, 1, 1]",
        "reshape flatten [8]",
        "linear linear [5]",
    ];
    assert_eq!(nodes(&network), expected);
    assert!(network.tensors().contains_key("layer2.0.bn1.running_var"));
    // The same graph, whether the exporter folds constants or leaves its shape arithmetic to the reader.
    let unfolded = fixture("resnet_unfolded.onnx");
    assert_eq!(GraphDescription::from(&unfolded), GraphDescription::from(&network));
}

#[test]
fn fused_batch_norms_leave_the_names_of_their_convolutions() {
    let network = fixture("resnet_a_fused.onnx");
    let convolutions: Vec<&str> = network
        .nodes()
        .iter()
        .filter(|node| node.op.kind() == "conv2d")
        .map(|node| node.name.as_str())
        .collect();
    let expected = [
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer1.1.conv1",
        "layer1.1.conv2",
        "layer2.0.conv1",
        "layer2.0.conv2",
    ];
    assert_eq!(convolutions, expected);
    assert!(network.nodes().iter().all(|node| node.op.kind() != "batch-norm"));
}

#[test]
fn a_product_and_its_bias_become_one_layer() {
    let expected = [
        "input input [1, 8, 8]",
        "embed conv2d [6, 2, 2]",
        "reshape reshape [6, 4]",
        "transpose transpose [4, 6]",
        "mix linear [4, 6]",
        "tanh tanh [4, 6]",
        "add add [4, 6]",
        "sub.constant constant []",
        "sub add [4, 6]",
        "reshape_1 flatten [24]",
        "head linear [3]",
        "softmax softmax [3]",
    ];
    assert_eq!(nodes(&fixture("tokens.onnx")), expected);
    assert_eq!(nodes(&fixture("tokens_unfolded.onnx")), expected);
}

#[test]
fn a_network_of_tf2onnx() {
    let Some(folder) = std::env::var_os("TEMPER_DATA") else {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
        return;
    };
    let model =
        std::fs::read(PathBuf::from(folder).join("models/lltfi-mnist-cnn.onnx")).expect("the model exists");
    let network = onnx::read(&model).expect("the model is supported").network;
    let expected = [
        "input input [28, 28, 1]",
        "conv2d.biasadd__6 reshape [1, 28, 28]",
        "conv2d conv2d [32, 24, 24]",
        "conv2d.relu relu [32, 24, 24]",
        "max_pooling2d max-pool2d [32, 12, 12]",
        "conv2d_1 conv2d [64, 8, 8]",
        "conv2d_1.relu relu [64, 8, 8]",
        "max_pooling2d_1 max-pool2d [64, 4, 4]",
        "max_pooling2d_1.maxpool__20 transpose [4, 4, 64]",
        "flatten flatten [1024]",
        "dense linear [10]",
        "dense.softmax softmax [10]",
    ];
    assert_eq!(nodes(&network), expected);
    let parameters: Vec<(String, Vec<usize>)> =
        network.parameters().map(|(path, parameter)| (path, parameter.tensor.shape().to_vec())).collect();
    let expected = [
        ("conv2d.weight", vec![32, 1, 5, 5]),
        ("conv2d.bias", vec![32]),
        ("conv2d_1.weight", vec![64, 32, 5, 5]),
        ("conv2d_1.bias", vec![64]),
        ("dense.weight", vec![10, 1024]),
        ("dense.bias", vec![10]),
    ];
    assert_eq!(parameters, expected.map(|(path, shape)| (path.to_owned(), shape)));
    // The first values that `onnx.numpy_helper` reads of the file; the product's matrix is transposed.
    assert_eq!(network.tensors()["conv2d.weight"].data()[..2], [0.116_714_43, 0.100_234_12]);
    assert_eq!(network.tensors()["dense.weight"].data()[1024], 0.037_775_64);
}
