//! The data sets known by name: what each holds, its files below the data directory, and where they come from.

use super::checksum::Checksum;
use super::dataset::Split;
use super::error::DataError;
use super::{cifar, digits, svhn};

/// What is known of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Its name, such as `cifar-10`.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub summary: &'static str,
    /// Whom to cite.
    pub citation: &'static str,
    /// Shape of one image, `[C, H, W]`.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Number of images for training.
    pub train_images: usize,
    /// Number of images for testing.
    pub test_images: usize,
    /// Its files, in the order in which they are read.
    pub files: &'static [CatalogFile],
    /// Where its files come from.
    pub source: Source,
}

/// A file of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogFile {
    /// Its path below the data directory, parts separated by `/`.
    pub path: &'static str,
    /// The split it belongs to.
    pub split: Split,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its checksum.
    pub checksum: Checksum,
    /// The same content without compression, read when the file itself is not there.
    pub plain: Option<PlainFile>,
}

/// A file that may lie, decompressed, in the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainFile {
    /// Its path below the data directory, parts separated by `/`.
    pub path: &'static str,
    /// Its checksum.
    pub checksum: Checksum,
}

/// Where the files of a data set come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The data set is part of the program and has no files.
    Embedded,
    /// Each file can be had by its own name.
    Files {
        /// What stands before the file's name, ending in `/`.
        base_url: &'static str,
    },
    /// The files are members of one tar archive compressed by gzip.
    Archive {
        /// What stands before the archive's name, ending in `/`.
        base_url: &'static str,
        /// Name of the archive.
        name: &'static str,
        /// Size of the archive in bytes.
        bytes: u64,
        /// Checksum of the archive.
        checksum: Checksum,
        /// The folder below the data directory in which the archive's members belong, ending in `/`.
        folder: &'static str,
    },
}

impl CatalogEntry {
    /// Number of images of a split.
    pub fn images(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train_images,
            Split::Test => self.test_images,
        }
    }

    /// Number of bytes to download for the whole data set.
    pub fn download_bytes(&self) -> u64 {
        match self.source {
            Source::Archive { bytes, .. } => bytes,
            Source::Embedded | Source::Files { .. } => self.files.iter().map(|file| file.bytes).sum(),
        }
    }
}

/// All data sets known by name.
pub fn catalog() -> &'static [CatalogEntry] {
    CATALOG
}

/// The data set of this name.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static CatalogEntry, DataError> {
    CATALOG.iter().find(|entry| entry.name == name).ok_or_else(|| DataError::UnknownName {
        name: name.to_owned(),
        known: CATALOG.iter().map(|entry| entry.name).collect(),
    })
}

static CATALOG: &[CatalogEntry] = &[
    CatalogEntry {
        name: digits::NAME,
        summary: "handwritten digits, 8x8 grey; part of the program",
        citation: "Alpaydin, Kaynak: Optical Recognition of Handwritten Digits. UCI, 1998, doi:10.24432/C50P49",
        shape: [1, 8, 8],
        classes: 10,
        train_images: digits::TRAIN_IMAGES,
        test_images: digits::TEST_IMAGES,
        files: &[],
        source: Source::Embedded,
    },
    CatalogEntry {
        name: "mnist",
        summary: "handwritten digits, 28x28 grey",
        citation: "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. Proc. IEEE, 1998",
        shape: [1, 28, 28],
        classes: 10,
        train_images: 60_000,
        test_images: 10_000,
        files: MNIST,
        // The authors' own server (yann.lecun.com) serves the files no longer; this is the copy that PyTorch uses.
        source: Source::Files { base_url: "https://ossci-datasets.s3.amazonaws.com/mnist/" },
    },
    CatalogEntry {
        name: "fashion-mnist",
        summary: "articles of clothing, 28x28 grey",
        citation: "Xiao, Rasul, Vollgraf: Fashion-MNIST. arXiv:1708.07747, 2017",
        shape: [1, 28, 28],
        classes: 10,
        train_images: 60_000,
        test_images: 10_000,
        files: FASHION_MNIST,
        source: Source::Files { base_url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" },
    },
    CatalogEntry {
        name: cifar::NAME,
        summary: "animals and vehicles, 32x32 colour",
        citation: "Krizhevsky: Learning Multiple Layers of Features from Tiny Images. 2009",
        shape: [3, 32, 32],
        classes: 10,
        train_images: 50_000,
        test_images: 10_000,
        files: CIFAR_10,
        source: Source::Archive {
            base_url: "https://www.cs.toronto.edu/~kriz/",
            name: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            // Of the archive whose MD5, c32a1d4ab5d03f1284b67883e8d87530, the author publishes; TensorFlow Datasets records both.
            checksum: Checksum::sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
            folder: "cifar-10/",
        },
    },
    CatalogEntry {
        name: svhn::NAME,
        summary: "house numbers, cropped to one digit, 32x32 colour",
        citation: "Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning. NIPS workshop, 2011",
        shape: [3, 32, 32],
        classes: 10,
        train_images: 73_257,
        test_images: 26_032,
        files: SVHN,
        source: Source::Files { base_url: "http://ufldl.stanford.edu/housenumbers/" },
    },
];

/// One gzip-compressed file of the idx format, and its decompressed form.
macro_rules! idx_file {
    ($path:literal, $split:ident, $bytes:literal, $sha256:literal, plain $plain_sha256:literal) => {
        CatalogFile {
            path: concat!($path, ".gz"),
            split: Split::$split,
            bytes: $bytes,
            checksum: Checksum::sha256($sha256),
            plain: Some(PlainFile { path: $path, checksum: Checksum::sha256($plain_sha256) }),
        }
    };
}

/// SHA-256 of the files whose MD5 the dataset's torchvision loader records; the decompressed ones follow from these.
static MNIST: &[CatalogFile] = &[
    idx_file!(
        "mnist/train-images-idx3-ubyte", Train, 9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        plain "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    idx_file!(
        "mnist/train-labels-idx1-ubyte", Train, 28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        plain "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    idx_file!(
        "mnist/t10k-images-idx3-ubyte", Test, 1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        plain "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    idx_file!(
        "mnist/t10k-labels-idx1-ubyte", Test, 4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        plain "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
];

/// SHA-256 of the files whose MD5 the authors publish; the decompressed ones follow from these.
static FASHION_MNIST: &[CatalogFile] = &[
    idx_file!(
        "fashion-mnist/train-images-idx3-ubyte", Train, 26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        plain "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    idx_file!(
        "fashion-mnist/train-labels-idx1-ubyte", Train, 29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        plain "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    idx_file!(
        "fashion-mnist/t10k-images-idx3-ubyte", Test, 4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        plain "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    idx_file!(
        "fashion-mnist/t10k-labels-idx1-ubyte", Test, 5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        plain "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
];

const fn batch(path: &'static str, split: Split, md5: &'static str) -> CatalogFile {
    CatalogFile { path, split, bytes: 30_730_000, checksum: Checksum::md5(md5), plain: None }
}

/// The author publishes no checksum of a single batch; these are what independent projects that unpack the official archive
/// check its members against.
static CIFAR_10: &[CatalogFile] = &[
    batch("cifar-10/cifar-10-batches-bin/data_batch_1.bin", Split::Train, "5dd7e06a14cb22eb9f671a540d1b7c25"),
    batch("cifar-10/cifar-10-batches-bin/data_batch_2.bin", Split::Train, "5ea93a67294ea407fff1d09f752e9692"),
    batch("cifar-10/cifar-10-batches-bin/data_batch_3.bin", Split::Train, "942cd6a4bcdd0dd3c604fbe906cb4421"),
    batch("cifar-10/cifar-10-batches-bin/data_batch_4.bin", Split::Train, "ae636b3ba5c66a11e91e8cb52e771fcb"),
    batch("cifar-10/cifar-10-batches-bin/data_batch_5.bin", Split::Train, "53f37980c15c3d472c316c40844f3f0d"),
    batch("cifar-10/cifar-10-batches-bin/test_batch.bin", Split::Test, "803d5f7f4d78ea53de84dbe85f74fb6d"),
];

/// SHA-256 as TensorFlow Datasets records it, of the files whose MD5 torchvision records.
static SVHN: &[CatalogFile] = &[
    CatalogFile {
        path: "svhn/train_32x32.mat",
        split: Split::Train,
        bytes: 182_040_794,
        checksum: Checksum::sha256("435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
        plain: None,
    },
    CatalogFile {
        path: "svhn/test_32x32.mat",
        split: Split::Test,
        bytes: 64_275_384,
        checksum: Checksum::sha256("cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
        plain: None,
    },
];
