//! Networks without branches: MLP, LeNet-5, VGG.

use super::builder::{Builder, avg_pool, batch_norm, conv, linear, max_pool};
use super::{Architecture, ArchitectureError, Pooling};
use crate::network::{Op, Padding2d, Pair};
use crate::tensor::element_count;

/// Linear layers `fc1`, `fc2`, … with the nonlinearity between them.
pub(super) fn mlp(architecture: &Architecture) -> Builder {
    let mut net = Builder::new(&architecture.input);
    net.then("flatten", Op::Flatten);
    // What overflows fits no input: the network then reports that the layer does not fit.
    let mut features = element_count(&architecture.input).unwrap_or(usize::MAX);
    for (i, &width) in architecture.widths.iter().enumerate() {
        net.then(format!("fc{}", i + 1), linear(features, width));
        net.then(format!("act{}", i + 1), architecture.nonlinearity.op());
        features = width;
    }
    net.then(format!("fc{}", architecture.widths.len() + 1), linear(features, architecture.classes));
    net
}

/// Two 5×5 convolutions (`conv1`, `conv2`), each halved by pooling, and three linear layers (`fc1` to `fc3`); usual widths
/// 6, 16, 120, 84.
pub(super) fn lenet5(architecture: &Architecture) -> Result<Builder, ArchitectureError> {
    let [c1, c2, f1, f2] = architecture.widths([6, 16, 120, 84])?;
    let [channels, h, w] = architecture.image()?;
    let conv = |in_channels, out_channels, padding| Op::Conv2d {
        in_channels,
        out_channels,
        kernel: Pair::square(5),
        stride: Pair::square(1),
        padding: Padding2d::uniform(padding),
        dilation: Pair::square(1),
        groups: 1,
        bias: true,
    };
    let pool = match architecture.pooling {
        Pooling::Max => max_pool(),
        Pooling::Avg => avg_pool(2, 2),
    };
    let features = lenet5_features(c2, [h, w], architecture.padding);
    let mut net = Builder::new(&architecture.input);
    net.then("conv1", conv(channels, c1, architecture.padding));
    net.then("act1", architecture.nonlinearity.op());
    net.then("pool1", pool.clone());
    net.then("conv2", conv(c1, c2, 0));
    net.then("act2", architecture.nonlinearity.op());
    net.then("pool2", pool);
    net.then("flatten", Op::Flatten);
    net.then("fc1", linear(features, f1));
    net.then("act3", architecture.nonlinearity.op());
    net.then("fc2", linear(f1, f2));
    net.then("act4", architecture.nonlinearity.op());
    net.then("fc3", linear(f2, architecture.classes));
    Ok(net)
}

/// Inputs of LeNet-5's first linear layer. Where the image is too small or too large it fits no layer, which the network then
/// reports.
pub(super) fn lenet5_features(channels: usize, [h, w]: [usize; 2], padding: usize) -> usize {
    let halved = |extent: usize, padding: usize| {
        extent.saturating_add(padding.saturating_mul(2)).saturating_sub(4) / 2
    };
    let side = |extent| halved(halved(extent, padding), 0);
    channels.saturating_mul(side(h)).saturating_mul(side(w))
}

/// Convolutions of each stage of a VGG.
pub(super) fn vgg_stages(depth: usize) -> [usize; 5] {
    if depth == 16 { [2, 2, 3, 3, 3] } else { [2; 5] }
}

/// Stages of 3×3 convolutions with batch norm, each stage halved by max-pooling, and one linear layer. Modules are numbered as in
/// torchvision's `features`; the convolutions have a bias.
pub(super) fn vgg(architecture: &Architecture, depth: usize) -> Result<Builder, ArchitectureError> {
    let widths = architecture.widths([64, 128, 256, 512, 512])?;
    let [mut channels, h, w] = architecture.image()?;
    let mut net = Builder::new(&architecture.input);
    let mut module = 0;
    let mut next = || {
        module += 1;
        format!("features.{}", module - 1)
    };
    for (width, layers) in widths.into_iter().zip(vgg_stages(depth)) {
        for _ in 0..layers {
            let mut op = conv(channels, width, 3, 1);
            if let Op::Conv2d { bias, .. } = &mut op {
                *bias = true;
            }
            net.then(next(), op);
            net.then(next(), batch_norm(width));
            net.then(next(), Op::Relu);
            channels = width;
        }
        net.then(next(), max_pool());
    }
    net.then("flatten", Op::Flatten);
    net.then(
        "classifier",
        linear(channels.saturating_mul(h / 32).saturating_mul(w / 32), architecture.classes),
    );
    Ok(net)
}
