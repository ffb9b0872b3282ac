//! Why data cannot be had.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::dataset::{DatasetError, Split};
use super::mat5::MatError;

/// The most bytes that the pixels of one file may take once decompressed; the largest data set known by name takes 225 MB.
pub(super) const MAX_PIXEL_BYTES: u64 = 1 << 30;

/// Why a data set cannot be read.
#[derive(Debug, Error)]
pub enum DataError {
    /// No data set has this name.
    #[error("there is no data set {name:?}; the known ones are {}", known.join(", "))]
    UnknownName {
        /// The name asked for.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// More images are wanted than the split has, or none.
    #[error("limit: {limit} images are wanted, but {name} ({split}) has {images}; expected 1 to {images}")]
    Limit {
        /// The data set.
        name: String,
        /// The split.
        split: Split,
        /// Images wanted.
        limit: usize,
        /// Images the split has.
        images: usize,
    },
    /// Files are not there.
    #[error(
        "{name} is not complete: expected {}; `temper data fetch {name}` gets it",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// The data set.
        name: String,
        /// The paths at which nothing is.
        paths: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content of files is not what it should be.
    #[error(
        "{} does not hold what {name} should; `temper data verify {name}` compares checksums",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" with ")
    )]
    Content {
        /// The data set.
        name: String,
        /// The files.
        paths: Vec<PathBuf>,
        /// What is wrong.
        source: Box<DataError>,
    },
    /// The files are well formed, but hold another number of images than they should.
    #[error("the files hold {found} images of the {split} split; expected {expected}")]
    ImageCount {
        /// The split.
        split: Split,
        /// Images found.
        found: usize,
        /// Images that these files of the data set hold.
        expected: usize,
    },
    /// The file starts with other bytes than its format demands.
    #[error("expected {format}, which starts with the bytes {expected:02x?}; found {found:02x?}")]
    Magic {
        /// The format expected.
        format: &'static str,
        /// The first bytes demanded.
        expected: &'static [u8],
        /// The first bytes found.
        found: Vec<u8>,
    },
    /// The file ends too early.
    #[error("the {what} end after {found} bytes; expected {expected}: the file was cut")]
    Truncated {
        /// What the bytes are.
        what: &'static str,
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The file goes on after its end.
    #[error("the {what} go on after the {expected} bytes that the header promises")]
    Trailing {
        /// What the bytes are.
        what: &'static str,
        /// Bytes that the header promises.
        expected: u64,
    },
    /// The file's header claims more than is sane.
    #[error("the header promises {claimed} bytes of {what}; at most {MAX_PIXEL_BYTES} are read")]
    TooLarge {
        /// What the bytes are.
        what: &'static str,
        /// Bytes that the header promises, or the largest number if it promises more than that.
        claimed: u64,
    },
    /// A compressed file cannot be decompressed.
    #[error("the {what} cannot be decompressed; the file is damaged")]
    Decompress {
        /// What the bytes are.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A CIFAR-10 batch is not a whole number of records.
    #[error("a batch holds {found} bytes; expected a positive multiple of the {record} bytes of a record")]
    Records {
        /// Bytes found.
        found: usize,
        /// Bytes of a record.
        record: usize,
    },
    /// Images and labels differ in number.
    #[error("there are {images} images and {labels} labels; the two files do not belong together")]
    Counts {
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// An SVHN label is not one of 1 to 10.
    #[error(
        "image {index} has label {label}; expected a whole number from 1 to 10, where 10 means the digit 0"
    )]
    SvhnLabel {
        /// Place of the image.
        index: usize,
        /// The label.
        label: f64,
    },
    /// The MATLAB file cannot be read.
    #[error("cannot read the MATLAB file")]
    Mat(#[from] MatError),
    /// The images and labels do not make a data set.
    #[error("the images and labels do not make a data set")]
    Dataset(#[from] DatasetError),
}
