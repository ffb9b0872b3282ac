//! The rows of ACIMS's Tables 3 and 4 as studies: five networks on two data sets, each in full and in a form that a processor finishes in
//! minutes. ("ACIMS: analog CIM simulator for DNN resilience", Electronics 2022.)

use super::{Preset, PresetKind};

/// What all of them share.
const TEMPLATE: &str = include_str!("../../../presets/acims-images.toml");

/// The network of the rows that no family of networks has.
const LENET: &str = include_str!("../../../presets/acims-lenet.toml");

/// One row: accuracies in percent, as printed.
struct Row {
    network: &'static str,
    golden: &'static str,
    stricken: &'static str,
    adjusted: &'static str,
}

const fn row(
    network: &'static str,
    golden: &'static str,
    stricken: &'static str,
    adjusted: &'static str,
) -> Row {
    Row { network, golden, stricken, adjusted }
}

/// A table, and the images it is about.
struct Table {
    number: &'static str,
    /// The data set's name, after which presets are called.
    set: &'static str,
    data: &'static str,
    /// Digits are not mirrored.
    augmentation: &'static str,
    rows: [Row; 5],
}

const TABLES: [Table; 2] = [
    Table {
        number: "3",
        set: "svhn",
        data: "SVHN",
        augmentation: "{ random_crop_padding = 4 }",
        rows: [
            row("lenet", "89.37", "73.66", "88.62"),
            row("vgg13", "95.55", "85.39", "94.82"),
            row("vgg16", "95.75", "86.99", "95.70"),
            row("resnet18", "95.73", "63.58", "94.99"),
            row("resnet34", "95.75", "89.15", "95.34"),
        ],
    },
    Table {
        number: "4",
        set: "cifar-10",
        data: "CIFAR-10",
        augmentation: "{ random_crop_padding = 4, horizontal_flip = 0.5 }",
        rows: [
            row("lenet", "75.50", "60.22", "70.56"),
            row("vgg13", "92.55", "77.85", "91.22"),
            row("vgg16", "92.32", "80.51", "91.04"),
            row("resnet18", "94.09", "85.51", "92.98"),
            row("resnet34", "93.47", "83.66", "92.47"),
        ],
    },
];

/// How much of it is done.
struct Extent {
    /// What a preset's name ends in.
    suffix: &'static str,
    chips: u32,
    epochs: u32,
    retraining: u32,
    /// Training and test images, if not all.
    images: Option<[u32; 2]>,
    /// Whether networks are an eighth as wide.
    narrow: bool,
}

const FULL: Extent =
    Extent { suffix: "", chips: 5, epochs: 300, retraining: 100, images: None, narrow: false };

/// LeNet is small as it is.
const SMALL_LENET: Extent = Extent {
    suffix: "-small",
    chips: 5,
    epochs: 30,
    retraining: 10,
    images: Some([20_000, 10_000]),
    narrow: false,
};

const SMALL: Extent = Extent {
    suffix: "-small",
    chips: 3,
    epochs: 10,
    retraining: 10,
    images: Some([5_000, 2_000]),
    narrow: true,
};

/// All of them, table by table.
pub(super) fn presets() -> impl Iterator<Item = Preset> {
    TABLES.iter().flat_map(|table| {
        table.rows.iter().flat_map(|row| {
            let small = if row.network == "lenet" { SMALL_LENET } else { SMALL };
            [FULL, small].map(|extent| preset(table, row, &extent))
        })
    })
}

fn preset(table: &Table, row: &Row, extent: &Extent) -> Preset {
    let network = match row.network {
        "lenet" => "LeNet".to_owned(),
        name => name.replace("vgg", "VGG").replace("resnet", "ResNet"),
    };
    let reduced = extent.images.map_or(String::new(), |[images, _]| {
        let width = if extent.narrow { ", width / 8" } else { "" };
        format!(" (reduced: {images} images, {}+{} epochs{width})", extent.epochs, extent.retraining)
    });
    let text = [
        ("@TABLE@", table.number.to_owned()),
        ("@NETWORK@", network),
        ("@DATA@", table.data.to_owned()),
        ("@REDUCED@", reduced),
        ("@GOLDEN@", row.golden.to_owned()),
        ("@STRICKEN@", row.stricken.to_owned()),
        ("@ADJUSTED@", row.adjusted.to_owned()),
        ("@CHIPS@", extent.chips.to_string()),
        ("@EPOCHS@", extent.epochs.to_string()),
        ("@RETRAINING@", extent.retraining.to_string()),
        ("@AUGMENTATION@", table.augmentation.to_owned()),
        ("@SET@", table.set.to_owned()),
        (
            "@LIMIT@",
            extent.images.map_or(String::new(), |[train, test]| {
                format!("train_limit = {train}\ntest_limit = {test}\n")
            }),
        ),
        ("@ARCHITECTURE@", architecture(row.network, extent.narrow)),
    ]
    .iter()
    .fold(TEMPLATE.to_owned(), |text, (token, value)| text.replace(token, value));
    let name = format!("acims-{}-{}{}", table.set, row.network, extent.suffix);
    Preset { name: name.into(), kind: PresetKind::Study, text: text.into() }
}

/// `[golden.network]`.
fn architecture(network: &str, narrow: bool) -> String {
    let widths = match network {
        "lenet" => return LENET.to_owned(),
        "vgg13" | "vgg16" => "[8, 16, 32, 64, 64]",
        _ => "[8, 16, 32, 64]",
    };
    let widths = if narrow { format!("widths = {widths}\n") } else { String::new() };
    format!("[golden.network]\narchitecture = \"{network}\"\n{widths}")
}
