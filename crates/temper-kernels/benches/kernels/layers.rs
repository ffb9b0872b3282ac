//! Layers of real networks.

use temper_kernels::ConvShape;

pub(crate) fn convolutions() -> [(&'static str, ConvShape); 16] {
    let conv = |channels, size, out_channels, kernel: usize, stride: usize| ConvShape {
        input: [channels, size, size],
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [(kernel - 1) / 2; 4],
        dilation: [1; 2],
        groups: 1,
    };
    [
        ("ResNet-20 3 -> 16, 32x32", conv(3, 32, 16, 3, 1)),
        ("ResNet-20 16 -> 16, 32x32", conv(16, 32, 16, 3, 1)),
        ("ResNet-20 32 -> 32, 16x16", conv(32, 16, 32, 3, 1)),
        ("ResNet-20 64 -> 64, 8x8", conv(64, 8, 64, 3, 1)),
        ("ResNet-20 16 -> 32, stride 2", conv(16, 32, 32, 3, 2)),
        ("ResNet-20 32 -> 64, stride 2", conv(32, 16, 64, 3, 2)),
        ("ResNet-18 3 -> 64, 32x32", conv(3, 32, 64, 3, 1)),
        ("ResNet-18 64 -> 64, 32x32", conv(64, 32, 64, 3, 1)),
        ("ResNet-18 128 -> 128, 16x16", conv(128, 16, 128, 3, 1)),
        ("ResNet-18 256 -> 256, 8x8", conv(256, 8, 256, 3, 1)),
        ("ResNet-18 512 -> 512, 4x4", conv(512, 4, 512, 3, 1)),
        ("ResNet-18 64 -> 128, stride 2", conv(64, 32, 128, 3, 2)),
        ("ResNet-18 64 -> 128, 1x1, stride 2", conv(64, 32, 128, 1, 2)),
        ("LeNet-5 1 -> 6, 28x28, 5x5", conv(1, 28, 6, 5, 1)),
        ("LeNet-5 6 -> 16, 14x14, 5x5", ConvShape { padding: [0; 4], ..conv(6, 14, 16, 5, 1) }),
        ("depthwise 64, 16x16", ConvShape { groups: 64, ..conv(64, 16, 64, 3, 1) }),
    ]
}

pub(crate) const LINEAR: [(&str, usize, usize); 6] = [
    ("MLP 784 -> 300", 784, 300),
    ("MLP 300 -> 100", 300, 100),
    ("MLP 100 -> 10", 100, 10),
    ("LeNet-5 400 -> 120", 400, 120),
    ("LeNet-5 120 -> 84", 120, 84),
    ("ResNet-20 64 -> 10", 64, 10),
];

pub(crate) fn ordinary(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0).collect()
}
