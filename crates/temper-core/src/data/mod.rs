//! Labelled images, and the preprocessing that turns them into a network's input.
//!
//! [`load()`] reads a data set known by name from a data directory; the readers ([`read_idx`], [`read_cifar10`], [`read_svhn`],
//! [`digits()`]) take bytes. What is known of each data set, and where its files come from, is its [`CatalogEntry`].

mod catalog;
mod checksum;
mod cifar;
mod dataset;
mod digits;
mod error;
mod idx;
mod load;
mod mat5;
mod preprocessing;
mod selection;
mod svhn;
mod verify;

#[cfg(test)]
mod tests;

pub use catalog::{CatalogEntry, CatalogFile, PlainFile, Source, catalog, find};
pub use checksum::{Algorithm, Checksum};
pub use cifar::read_cifar10;
pub use dataset::{Dataset, DatasetError, Split};
pub use digits::digits;
pub use error::DataError;
pub use idx::read_idx;
pub use load::load;
pub use mat5::MatError;
pub use preprocessing::{Crop, Inputs, Layout, Preprocessing, PreprocessingError};
pub use svhn::read_svhn;
pub use verify::{FileReport, FileStatus, verify, verify_file};
