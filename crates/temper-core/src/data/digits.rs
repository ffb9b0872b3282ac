//! The handwritten digits that are part of the program: no download, no file.

use std::io::Read;

use flate2::read::GzDecoder;

use super::dataset::{Dataset, Split};

pub(super) const NAME: &str = "digits";
const FILE: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const SHAPE: [usize; 3] = [1, 8, 8];
const PIXEL_MAX: u8 = 16;
const CLASSES: usize = 10;
pub(super) const TRAIN_IMAGES: usize = 1297;
pub(super) const TEST_IMAGES: usize = 500;

/// The 1 797 handwritten digits of 8×8 pixels that scikit-learn also carries: the first 1 297 for training, the last 500 for
/// testing.
///
/// Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
/// doi:10.24432/C50P49, CC BY 4.0. **Shapes**: images `[1, 8, 8]`, pixels 0..=16.
pub fn digits(split: Split) -> Dataset {
    let mut csv = String::new();
    GzDecoder::new(FILE).read_to_string(&mut csv).expect("the embedded file is whole");
    let (skip, take) = match split {
        Split::Train => (0, TRAIN_IMAGES),
        Split::Test => (TRAIN_IMAGES, TEST_IMAGES),
    };
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for line in csv.lines().skip(skip).take(take) {
        images.extend(
            line.split(',').map(|number| number.parse::<u8>().expect("the embedded file holds bytes")),
        );
        labels.extend(images.pop());
    }
    Dataset::new(NAME, split, SHAPE, CLASSES, PIXEL_MAX, images, labels)
        .expect("the embedded file holds valid digits")
}
