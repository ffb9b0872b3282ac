//! Residual networks of basic blocks.

use super::builder::{Builder, avg_pool, batch_norm, conv, linear};
use super::{Architecture, ArchitectureError, Shortcut};
use crate::network::{INPUT, Op};

/// He et al. 2016, §4.2: stages of n blocks with 16, 32 and 64 channels, 6n + 2 layers.
pub(super) fn cifar_resnet(architecture: &Architecture, depth: usize) -> Result<Builder, ArchitectureError> {
    let widths = architecture.widths([16, 32, 64])?;
    build(architecture, &widths, &[(depth - 2) / 6; 3], architecture.shortcut)
}

/// Four stages with 64 to 512 channels; 18 layers (2, 2, 2, 2 blocks) or 34 (3, 4, 6, 3).
pub(super) fn resnet(architecture: &Architecture, depth: usize) -> Result<Builder, ArchitectureError> {
    let widths = architecture.widths([64, 128, 256, 512])?;
    let blocks = if depth == 18 { [2, 2, 2, 2] } else { [3, 4, 6, 3] };
    build(architecture, &widths, &blocks, Shortcut::B)
}

fn build(
    architecture: &Architecture,
    widths: &[usize],
    blocks: &[usize],
    shortcut: Shortcut,
) -> Result<Builder, ArchitectureError> {
    let [channels, ..] = architecture.image()?;
    let mut net = Builder::new(&architecture.input);
    net.after(&[INPUT], "conv1", conv(channels, widths[0], 3, 1));
    net.then("bn1", batch_norm(widths[0]));
    let mut last = net.then("relu", Op::Relu);
    let mut channels = widths[0];
    for (stage, (&width, &blocks)) in widths.iter().zip(blocks).enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            last = basic_block(&mut net, &name, &last, [channels, width], stride, shortcut);
            channels = width;
        }
    }
    net.then("avgpool", Op::GlobalAvgPool);
    net.then("flatten", Op::Flatten);
    net.then("fc", linear(channels, architecture.classes));
    Ok(net)
}

/// Two 3×3 convolutions and a shortcut around them.
fn basic_block(
    net: &mut Builder,
    name: &str,
    input: &str,
    [channels, width]: [usize; 2],
    stride: usize,
    shortcut: Shortcut,
) -> String {
    net.after(&[input], format!("{name}.conv1"), conv(channels, width, 3, stride));
    net.then(format!("{name}.bn1"), batch_norm(width));
    net.then(format!("{name}.relu1"), Op::Relu);
    net.then(format!("{name}.conv2"), conv(width, width, 3, 1));
    let main = net.then(format!("{name}.bn2"), batch_norm(width));
    let around = match shortcut {
        _ if stride == 1 && channels == width => input.to_owned(),
        Shortcut::A => {
            // Every second pixel is a 1×1 window in steps of two; new channels are laid evenly before and after.
            net.after(&[input], format!("{name}.shortcut.subsample"), avg_pool(1, stride));
            let new = width.saturating_sub(channels);
            let pad = Op::Pad { before: vec![new / 2, 0, 0], after: vec![new - new / 2, 0, 0], value: 0.0 };
            net.then(format!("{name}.shortcut.pad"), pad)
        }
        Shortcut::B => {
            net.after(&[input], format!("{name}.downsample.0"), conv(channels, width, 1, stride));
            net.then(format!("{name}.downsample.1"), batch_norm(width))
        }
    };
    net.after(&[&main, &around], format!("{name}.add"), Op::Add);
    net.then(format!("{name}.relu2"), Op::Relu)
}
