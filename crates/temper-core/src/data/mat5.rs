//! Numeric arrays in MATLAB's level 5 MAT-files ("MAT-File Format", The `MathWorks`, chapter 1): what SVHN needs of it.
//!
//! After a header of 128 bytes a file is a row of elements, each a tag (data type, size in bytes) and data padded to a multiple
//! of eight bytes. A variable is an element that consists of elements: flags, dimensions, name, values. It may lie, deflated,
//! in a compressed element. An element of at most four bytes may share its eight bytes with its tag.

use std::io::{self, Read};

use flate2::bufread::ZlibDecoder;
use thiserror::Error;

use super::error::MAX_PIXEL_BYTES;
use crate::tensor::element_count;

const HEADER: usize = 128;
const TAG: usize = 8;

// Data types ("mi" in the specification).
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const INT64: u32 = 12;
const UINT64: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

// Array classes ("mx" in the specification).
const UINT8_CLASS: u8 = 9;
const NUMERIC_CLASSES: std::ops::RangeInclusive<u8> = 6..=15;

/// Why a MATLAB file cannot be read.
#[derive(Debug, Error)]
pub enum MatError {
    /// The header is not that of a level 5 file.
    #[error(
        "expected a MATLAB level 5 file, with version 0x0100 and the letters IM or MI in bytes 124 to 127; found {found:02x?}: \
         save the file with MATLAB's option -v7 or -v6"
    )]
    Header {
        /// What is at bytes 124 to 127.
        found: Vec<u8>,
    },
    /// The file, or an element, ends too early.
    #[error("the {what} ends after {found} bytes; expected {expected}: the file was cut or is damaged")]
    Truncated {
        /// What ends.
        what: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// An element has another data type than it must have.
    #[error("the {what} is an element of data type {found}; expected {expected}")]
    DataType {
        /// What the element is.
        what: &'static str,
        /// Its data type.
        found: u32,
        /// The data type it must have.
        expected: &'static str,
    },
    /// An element is larger than is sane.
    #[error("the {what} claims {claimed} bytes; at most {limit} are read")]
    TooLarge {
        /// What the element is.
        what: &'static str,
        /// Bytes it claims.
        claimed: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// A compressed variable cannot be decompressed.
    #[error("a compressed variable cannot be decompressed; the file is damaged")]
    Decompress(#[source] io::Error),
    /// A compressed variable goes on after its end.
    #[error("a compressed variable goes on after its end; the file is damaged")]
    Trailing,
    /// A variable is not there.
    #[error("there is no variable {name}")]
    MissingVariable {
        /// Its name.
        name: &'static str,
    },
    /// A variable is there more than once.
    #[error("there are two variables {name}")]
    RepeatedVariable {
        /// Its name.
        name: &'static str,
    },
    /// A variable is of another class than it must be.
    #[error("variable {name} is an array of class {class} (complex: {complex}); expected {expected}")]
    Class {
        /// Its name.
        name: &'static str,
        /// Number of its class, as in the specification.
        class: u8,
        /// Whether its values are complex.
        complex: bool,
        /// The class it must be of.
        expected: &'static str,
    },
    /// A variable has another shape than it must have.
    #[error("variable {name} has shape {found:?}; expected {expected}")]
    Shape {
        /// Its name.
        name: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: &'static str,
    },
    /// The values do not fill the shape.
    #[error("variable {name} holds {bytes} bytes of values, which do not fill its shape {dimensions:?}")]
    Count {
        /// Its name.
        name: &'static str,
        /// Bytes of its values.
        bytes: usize,
        /// Its shape.
        dimensions: Vec<usize>,
    },
}

/// An array in MATLAB's column-major order.
#[derive(Debug)]
pub(super) struct Array<T> {
    name: &'static str,
    pub(super) dimensions: Vec<usize>,
    pub(super) values: Vec<T>,
}

/// An array whose values are still as stored.
#[derive(Debug)]
pub(super) struct Variable {
    array: Array<u8>,
    class: u8,
    complex: bool,
    data_type: u32,
    order: ByteOrder,
}

#[derive(Debug, Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// `bytes` in the order of a little-endian number.
    fn little<const N: usize>(self, mut bytes: [u8; N]) -> [u8; N] {
        if matches!(self, Self::Big) {
            bytes.reverse();
        }
        bytes
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(self.little(bytes))
    }

    fn tag(self, [a, b, c, d, e, f, g, h]: [u8; TAG]) -> (u32, u32) {
        (self.u32([a, b, c, d]), self.u32([e, f, g, h]))
    }
}

/// The variables of `file` that have the given names, in this order.
pub(super) fn variables<const N: usize>(
    file: &[u8],
    names: [&'static str; N],
) -> Result<[Variable; N], MatError> {
    let order = byte_order(file)?;
    let mut found = [const { None }; N];
    let mut rest = &file[HEADER..];
    while !rest.is_empty() {
        let (tag, after) = rest.split_first_chunk::<TAG>().ok_or(MatError::Truncated {
            what: "tag of an element",
            expected: TAG as u64,
            found: rest.len() as u64,
        })?;
        let (data_type, size) = order.tag(*tag);
        let (element, after) = after.split_at_checked(size as usize).ok_or(MatError::Truncated {
            what: "element",
            expected: u64::from(size),
            found: after.len() as u64,
        })?;
        rest = after;
        let variable = match data_type {
            MATRIX => read_variable(element, order, &names)?,
            COMPRESSED => read_compressed(element, order, &names)?,
            found => return Err(MatError::DataType { what: "variable", found, expected: "14 or 15" }),
        };
        let Some((place, variable)) = variable else { continue };
        if found[place].replace(variable).is_some() {
            return Err(MatError::RepeatedVariable { name: names[place] });
        }
    }
    if let Some(place) = found.iter().position(Option::is_none) {
        return Err(MatError::MissingVariable { name: names[place] });
    }
    Ok(found.map(|variable| variable.expect("absence was ruled out above")))
}

fn byte_order(file: &[u8]) -> Result<ByteOrder, MatError> {
    match file.get(HEADER - 4..HEADER) {
        Some([0x00, 0x01, b'I', b'M']) => Ok(ByteOrder::Little),
        Some([0x01, 0x00, b'M', b'I']) => Ok(ByteOrder::Big),
        found => Err(MatError::Header { found: found.unwrap_or_default().to_vec() }),
    }
}

fn read_compressed(
    element: &[u8],
    order: ByteOrder,
    names: &[&'static str],
) -> Result<Option<(usize, Variable)>, MatError> {
    let mut inflated = ZlibDecoder::new(element);
    let (data_type, size) = order.tag(read_exactly(&mut inflated, "tag of a compressed variable")?);
    if data_type != MATRIX {
        return Err(MatError::DataType { what: "compressed variable", found: data_type, expected: "14" });
    }
    let mut matrix = (&mut inflated).take(u64::from(size));
    let variable = read_variable(&mut matrix, order, names)?;
    // Reading on to the end makes the decoder check its checksum.
    if variable.is_some() && inflated.read(&mut [0]).map_err(MatError::Decompress)? > 0 {
        return Err(MatError::Trailing);
    }
    Ok(variable)
}

/// Reads a variable and its place in `names`; nothing, and not its values, if its name is not among them.
fn read_variable(
    mut matrix: impl Read,
    order: ByteOrder,
    names: &[&'static str],
) -> Result<Option<(usize, Variable)>, MatError> {
    const MAX_SMALL: u64 = 1 << 10;
    let (_, flags) = read_element(&mut matrix, order, "array flags", Some((UINT32, "6")), MAX_SMALL)?;
    let flags = flags.first_chunk().map(|flags| order.u32(*flags)).unwrap_or_default();
    let (_, extents) = read_element(&mut matrix, order, "array dimensions", Some((INT32, "5")), MAX_SMALL)?;
    let (_, name) = read_element(&mut matrix, order, "array name", Some((INT8, "1")), MAX_SMALL)?;
    let Some(place) = names.iter().position(|wanted| wanted.as_bytes() == name) else { return Ok(None) };
    let dimensions = extents.as_chunks().0.iter().map(|extent| order.u32(*extent) as usize).collect();
    let (data_type, values) = read_element(&mut matrix, order, "array of values", None, MAX_PIXEL_BYTES)?;
    let array = Array { name: names[place], dimensions, values };
    let (class, complex) = (flags as u8, flags & 0x800 != 0);
    Ok(Some((place, Variable { array, class, complex, data_type, order })))
}

/// Reads one element: its data type and its data.
fn read_element(
    reader: &mut impl Read,
    order: ByteOrder,
    what: &'static str,
    data_type: Option<(u32, &'static str)>,
    limit: u64,
) -> Result<(u32, Vec<u8>), MatError> {
    let tag: [u8; TAG] = read_exactly(reader, what)?;
    let (first, second) = order.tag(tag);
    let check = |found: u32| match data_type {
        Some((wanted, expected)) if found != wanted => Err(MatError::DataType { what, found, expected }),
        _ => Ok(found),
    };
    // The small form: the size stands in the upper half of the first word, the data in the second.
    let small_size = (first >> 16) as usize;
    if small_size > 0 {
        let data = tag[4..].get(..small_size).ok_or(MatError::TooLarge {
            what,
            claimed: small_size as u64,
            limit: 4,
        })?;
        return Ok((check(first & 0xffff)?, data.to_vec()));
    }
    let data_type = check(first)?;
    let size = u64::from(second);
    if size > limit {
        return Err(MatError::TooLarge { what, claimed: size, limit });
    }
    let padded = size.next_multiple_of(TAG as u64);
    let mut data = Vec::new();
    reader.take(padded).read_to_end(&mut data).map_err(MatError::Decompress)?;
    if (data.len() as u64) < size {
        return Err(MatError::Truncated { what, expected: size, found: data.len() as u64 });
    }
    data.truncate(size as usize);
    Ok((data_type, data))
}

fn read_exactly<const N: usize>(reader: &mut impl Read, what: &'static str) -> Result<[u8; N], MatError> {
    let mut bytes = Vec::new();
    reader.take(N as u64).read_to_end(&mut bytes).map_err(MatError::Decompress)?;
    let found = bytes.len() as u64;
    bytes.try_into().map_err(|_| MatError::Truncated { what, expected: N as u64, found })
}

impl<T> Array<T> {
    /// That this array should have another shape.
    pub(super) fn wrong_shape(&self, expected: &'static str) -> MatError {
        MatError::Shape { name: self.name, found: self.dimensions.clone(), expected }
    }
}

impl Variable {
    /// The values of an array of the class `uint8`.
    pub(super) fn into_bytes(self) -> Result<Array<u8>, MatError> {
        if self.class != UINT8_CLASS || self.complex {
            return Err(self.wrong_class("9 (uint8), not complex"));
        }
        if self.data_type != UINT8 {
            let (what, found, expected) = ("array of values", self.data_type, "2 (unsigned bytes)");
            return Err(MatError::DataType { what, found, expected });
        }
        self.check_count(1)?;
        Ok(self.array)
    }

    /// The values of any real numeric array. MATLAB stores them in the smallest type that holds them, whatever the class.
    pub(super) fn into_numbers(self) -> Result<Array<f64>, MatError> {
        if !NUMERIC_CLASSES.contains(&self.class) || self.complex {
            return Err(self.wrong_class("6 to 15 (numeric), not complex"));
        }
        let values = match self.data_type {
            INT8 => self.numbers(|[byte]| f64::from(byte as i8))?,
            UINT8 => self.numbers(|[byte]| f64::from(byte))?,
            INT16 => self.numbers(|bytes| f64::from(i16::from_le_bytes(bytes)))?,
            UINT16 => self.numbers(|bytes| f64::from(u16::from_le_bytes(bytes)))?,
            INT32 => self.numbers(|bytes| f64::from(i32::from_le_bytes(bytes)))?,
            UINT32 => self.numbers(|bytes| f64::from(u32::from_le_bytes(bytes)))?,
            SINGLE => self.numbers(|bytes| f64::from(f32::from_le_bytes(bytes)))?,
            DOUBLE => self.numbers(f64::from_le_bytes)?,
            INT64 => self.numbers(|bytes| i64::from_le_bytes(bytes) as f64)?,
            UINT64 => self.numbers(|bytes| u64::from_le_bytes(bytes) as f64)?,
            found => {
                let (what, expected) = ("array of values", "a numeric one");
                return Err(MatError::DataType { what, found, expected });
            }
        };
        Ok(Array { name: self.array.name, dimensions: self.array.dimensions, values })
    }

    fn numbers<const N: usize>(&self, value: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, MatError> {
        self.check_count(N)?;
        Ok(self.array.values.as_chunks().0.iter().map(|bytes| value(self.order.little(*bytes))).collect())
    }

    fn check_count(&self, value_size: usize) -> Result<(), MatError> {
        let Array { name, dimensions, values } = &self.array;
        let bytes = element_count(dimensions).and_then(|count| count.checked_mul(value_size));
        if bytes == Some(values.len()) {
            return Ok(());
        }
        Err(MatError::Count { name, bytes: values.len(), dimensions: dimensions.clone() })
    }

    fn wrong_class(&self, expected: &'static str) -> MatError {
        MatError::Class { name: self.array.name, class: self.class, complex: self.complex, expected }
    }
}
