//! Images and labels in the idx format, described where MNIST was first published (<http://yann.lecun.com/exdb/mnist/>).
//!
//! Two zero bytes, the element type (8: unsigned byte), the number of dimensions, each dimension as a big-endian `u32`, then
//! the elements in row-major order.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::dataset::{Dataset, Split};
use super::error::{DataError, MAX_PIXEL_BYTES};

const IMAGE_MAGIC: &[u8] = &[0, 0, 8, 3];
const LABEL_MAGIC: &[u8] = &[0, 0, 8, 1];
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const CLASSES: usize = 10;

/// Reads a data set of grey images in 10 classes, such as MNIST or Fashion-MNIST.
///
/// `images` is an idx3-ubyte file `[N, H, W]`, `labels` an idx1-ubyte file `[N]`; each may be compressed by gzip, which its
/// first bytes tell. **Shapes**: images `[1, H, W]`, pixels 0..=255.
///
/// # Errors
/// When a file is not in this format, is cut or damaged, goes on after its end, or the two do not belong together.
pub fn read_idx(name: &str, split: Split, images: &[u8], labels: &[u8]) -> Result<Dataset, DataError> {
    let ([count, height, width], pixels) = elements::<3>(images, "images", IMAGE_MAGIC)?;
    let ([label_count], labels) = elements::<1>(labels, "labels", LABEL_MAGIC)?;
    if count != label_count {
        return Err(DataError::Counts { images: count, labels: label_count });
    }
    Ok(Dataset::new(name, split, [1, height, width], CLASSES, u8::MAX, pixels, labels)?)
}

/// The dimensions and elements of an idx file of `D` dimensions.
fn elements<const D: usize>(
    file: &[u8],
    what: &'static str,
    magic: &'static [u8],
) -> Result<([usize; D], Vec<u8>), DataError> {
    if !file.starts_with(&GZIP_MAGIC) {
        let mut rest = file;
        return plain_elements(&mut rest, what, magic);
    }
    let mut decoder = GzDecoder::new(file);
    let (shape, data) = plain_elements(&mut decoder, what, magic)?;
    if !decoder.into_inner().is_empty() {
        return Err(DataError::Trailing { what, expected: data.len() as u64 });
    }
    Ok((shape, data))
}

fn plain_elements<const D: usize>(
    file: &mut impl Read,
    what: &'static str,
    magic: &'static [u8],
) -> Result<([usize; D], Vec<u8>), DataError> {
    let header_size = 4 + 4 * D;
    let header = read_up_to(file, header_size as u64, what)?;
    if !header.starts_with(magic) {
        let found = header[..header.len().min(4)].to_vec();
        return Err(DataError::Magic { format: "an idx file", expected: magic, found });
    }
    if header.len() < header_size {
        let (expected, found) = (header_size as u64, header.len() as u64);
        return Err(DataError::Truncated { what, expected, found });
    }
    let shape: [u32; D] = std::array::from_fn(|d| {
        let at = 4 + 4 * d;
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    });
    let size = shape.iter().fold(1u64, |size, &extent| size.saturating_mul(u64::from(extent)));
    if size > MAX_PIXEL_BYTES {
        return Err(DataError::TooLarge { what, claimed: size });
    }
    // One byte more than promised: it must not be there, and asking for it makes the decoder check its checksum.
    let data = read_up_to(file, size + 1, what)?;
    match (data.len() as u64).cmp(&size) {
        std::cmp::Ordering::Less => {
            Err(DataError::Truncated { what, expected: size, found: data.len() as u64 })
        }
        std::cmp::Ordering::Greater => Err(DataError::Trailing { what, expected: size }),
        std::cmp::Ordering::Equal => Ok((shape.map(|extent| extent as usize), data)),
    }
}

fn read_up_to(file: &mut impl Read, limit: u64, what: &'static str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|source| DataError::Decompress { what, source })?;
    Ok(bytes)
}
