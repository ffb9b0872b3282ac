//! SVHN, the cropped 32×32 digits (Y. Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning",
//! NIPS workshop 2011; <http://ufldl.stanford.edu/housenumbers/>).
//!
//! A MATLAB file with `X`, bytes `[32, 32, 3, N]` (row, column, channel, image), and `y`, labels 1 to 10 `[N, 1]`.

use super::dataset::{Dataset, Split};
use super::error::DataError;
use super::mat5::{self, MatError, Variable};

pub(super) const NAME: &str = "svhn";
const SIDE: usize = 32;
const CHANNELS: usize = 3;
const CLASSES: usize = 10;

/// Reads SVHN from a file of cropped digits, such as `train_32x32.mat`.
///
/// The file is of MATLAB's level 5 in either byte order, its variables compressed or not; variables other than `X` and `y`
/// are passed over. The label 10, which means the digit 0, becomes 0. **Shapes**: images `[3, 32, 32]`, pixels 0..=255.
///
/// # Errors
/// When the file is not of this format, is cut or damaged, lacks `X` or `y`, or these are not images and their labels.
pub fn read_svhn(split: Split, file: &[u8]) -> Result<Dataset, DataError> {
    let [x, y] = mat5::variables(file, ["X", "y"])?;
    let mut images = x.into_bytes()?;
    let count = match images.dimensions[..] {
        [SIDE, SIDE, CHANNELS, count] => count,
        // MATLAB drops trailing dimensions of extent one.
        [SIDE, SIDE, CHANNELS] => 1,
        _ => return Err(images.wrong_shape("[32, 32, 3, N]").into()),
    };
    let labels = labels(y)?;
    if labels.len() != count {
        return Err(DataError::Counts { images: count, labels: labels.len() });
    }
    transpose_planes(&mut images.values);
    Ok(Dataset::new(NAME, split, [CHANNELS, SIDE, SIDE], CLASSES, u8::MAX, images.values, labels)?)
}

fn labels(y: Variable) -> Result<Vec<u8>, DataError> {
    let y = y.into_numbers()?;
    if !matches!(y.dimensions[..], [_, 1] | [1, _]) {
        let error: MatError = y.wrong_shape("[N, 1]");
        return Err(error.into());
    }
    let digit = |(index, label): (usize, f64)| {
        if !(1.0..=10.0).contains(&label) || label.fract() != 0.0 {
            return Err(DataError::SvhnLabel { index, label });
        }
        Ok(label as u8 % 10)
    };
    y.values.into_iter().enumerate().map(digit).collect()
}

/// Column-major `[32, 32, 3, N]` has its planes in the order of row-major `[N, 3, 32, 32]`; only each plane is transposed.
fn transpose_planes(pixels: &mut [u8]) {
    for plane in pixels.chunks_exact_mut(SIDE * SIDE) {
        for row in 0..SIDE {
            for column in 0..row {
                plane.swap(row * SIDE + column, column * SIDE + row);
            }
        }
    }
}
