//! Tests of the readers and the catalog; those on real files need the environment variable `TEMPER_DATA`.

mod catalog;
mod cifar;
mod crop;
mod idx;
mod real;
mod selection;
mod svhn;

use super::{DataError, Dataset};

/// Number of images of each class.
fn histogram(data: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; data.classes()];
    for &label in data.labels() {
        counts[usize::from(label)] += 1;
    }
    counts
}

/// An error with all its causes, as the command line shows it.
fn chain(error: &DataError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
