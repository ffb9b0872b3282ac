//! Weights from safetensors files (<https://github.com/huggingface/safetensors>, format of version 0.4 and later).

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, TensorInfo};
use thiserror::Error;

use super::element::{ByteOrder, Element, Float};
use super::state_dict::{Builder, StateDict};
use crate::tensor::Tensor;

/// Why bytes are not a readable safetensors file.
#[derive(Debug, Error)]
pub enum SafeTensorsError {
    /// The length at the start does not fit the file.
    #[error(
        "the first 8 bytes claim a header that does not fit the file's {found} bytes; the file seems cut off: fetch it again"
    )]
    HeaderLength {
        /// Length of the file in bytes.
        found: usize,
    },
    /// The header is not the expected JSON.
    #[error("the header is not a safetensors header: {reason}")]
    Header {
        /// What the parser says.
        reason: String,
    },
    /// A tensor's place, shape and element type contradict each other.
    #[error("the header contradicts itself: {reason}")]
    Layout {
        /// What the parser says.
        reason: String,
    },
    /// The tensors do not end where the file ends.
    #[error(
        "the tensors do not end where the file's {found} bytes end; the file seems cut off or mixed up: fetch it again"
    )]
    Length {
        /// Length of the file in bytes.
        found: usize,
    },
    /// An element type that cannot become weights.
    #[error(
        "tensor \"{name}\" has elements of type {found}; expected F32, F16, BF16 or F64: convert it first"
    )]
    ElementType {
        /// The tensor.
        name: String,
        /// Its element type as written in the header.
        found: String,
    },
}

/// A tensor as it lies in the file.
pub(in crate::network) struct RawTensor<'a> {
    /// Its name.
    pub(in crate::network) name: String,
    /// Its element type.
    pub(in crate::network) dtype: Dtype,
    /// Its shape.
    pub(in crate::network) shape: Vec<usize>,
    /// Its elements, little-endian, as many as the shape says.
    pub(in crate::network) bytes: &'a [u8],
}

/// Reads the weights of a safetensors file. Integer and boolean tensors are listed as ignored; the order is that of the data.
///
/// # Errors
/// When the file is damaged, or a tensor has elements that are neither floats of 16, 32 or 64 bits nor integers.
pub fn read(bytes: &[u8]) -> Result<StateDict, SafeTensorsError> {
    let (tensors, _) = parse(bytes)?;
    let mut builder = Builder::default();
    for raw in tensors {
        match element(raw.dtype) {
            Some(Element::Float(float)) => {
                let tensor = raw.tensor(float)?;
                builder.tensor(raw.name, float, tensor);
            }
            Some(Element::Integer(kind)) => builder.ignore(raw.name, format!("{kind} tensor")),
            None => {
                let found = raw.dtype.to_string();
                return Err(SafeTensorsError::ElementType { name: raw.name, found });
            }
        }
    }
    Ok(builder.finish())
}

/// The tensors of a file in the order of their data (then names), and its header.
pub(in crate::network) fn parse(bytes: &[u8]) -> Result<(Vec<RawTensor<'_>>, Metadata), SafeTensorsError> {
    let found = bytes.len();
    let (header_length, header) = SafeTensors::read_metadata(bytes).map_err(|error| typed(&error, found))?;
    let data = &bytes[size_of::<u64>() + header_length..];
    let mut infos: Vec<(String, &TensorInfo)> = header.tensors().into_iter().collect();
    infos.sort_by(|(a, left), (b, right)| left.data_offsets.cmp(&right.data_offsets).then(a.cmp(b)));
    let raw = |(name, info): (String, &TensorInfo)| RawTensor {
        name,
        dtype: info.dtype,
        shape: info.shape.clone(),
        bytes: &data[info.data_offsets.0..info.data_offsets.1],
    };
    let tensors = infos.into_iter().map(raw).collect();
    Ok((tensors, header))
}

impl RawTensor<'_> {
    /// Its values.
    pub(in crate::network) fn f32_tensor(&self) -> Result<Tensor, SafeTensorsError> {
        self.tensor(Float::F32)
    }

    fn tensor(&self, float: Float) -> Result<Tensor, SafeTensorsError> {
        let values = float.values(self.bytes, ByteOrder::Little).collect();
        Tensor::new(self.shape.clone(), values).map_err(|error| SafeTensorsError::Layout {
            reason: format!("tensor \"{}\": {error}", self.name),
        })
    }
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F32 => Element::Float(Float::F32),
        Dtype::F16 => Element::Float(Float::F16),
        Dtype::BF16 => Element::Float(Float::Bf16),
        Dtype::F64 => Element::Float(Float::F64),
        Dtype::BOOL => Element::Integer("bool"),
        Dtype::U8 => Element::Integer("uint8"),
        Dtype::I8 => Element::Integer("int8"),
        Dtype::U16 => Element::Integer("uint16"),
        Dtype::I16 => Element::Integer("int16"),
        Dtype::U32 => Element::Integer("uint32"),
        Dtype::I32 => Element::Integer("int32"),
        Dtype::U64 => Element::Integer("uint64"),
        Dtype::I64 => Element::Integer("int64"),
        _ => return None,
    })
}

fn typed(error: &SafeTensorError, found: usize) -> SafeTensorsError {
    use SafeTensorError as E;
    match error {
        E::HeaderTooLarge | E::HeaderTooSmall | E::InvalidHeaderLength => {
            SafeTensorsError::HeaderLength { found }
        }
        E::InvalidHeader(_) | E::InvalidHeaderDeserialization(_) | E::JsonError(_) => {
            SafeTensorsError::Header { reason: error.to_string() }
        }
        E::MetadataIncompleteBuffer => SafeTensorsError::Length { found },
        _ => SafeTensorsError::Layout { reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn floats_are_widened_integers_listed_and_the_data_order_kept() {
        let header = r#"{"z":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
            "a":{"dtype":"F64","shape":[],"data_offsets":[4,12]},
            "n":{"dtype":"I64","shape":[1],"data_offsets":[12,20]},
            "e2":{"dtype":"F32","shape":[0,3],"data_offsets":[20,20]},
            "e1":{"dtype":"F32","shape":[0],"data_offsets":[20,20]},
            "m":{"dtype":"BF16","shape":[1],"data_offsets":[20,22]}}"#;
        let mut data = vec![0x00, 0x3c, 0x00, 0xc0];
        data.extend(0.1f64.to_le_bytes());
        data.extend(7i64.to_le_bytes());
        data.extend([0x80, 0x3f]);
        let dict = read(&file(header, &data)).unwrap();
        let names: Vec<&str> = dict.entries().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z", "a", "e1", "e2", "m"]);
        assert_eq!(dict.get("z").unwrap().data(), [1.0, -2.0]);
        assert_eq!(dict.get("a").unwrap().data(), [0.1]);
        assert_eq!(dict.get("a").unwrap().shape(), [0usize; 0]);
        assert_eq!(dict.get("e2").unwrap().shape(), [0, 3]);
        assert_eq!(
            (dict.ignored()[0].name.as_str(), dict.ignored()[0].reason.as_str()),
            ("n", "int64 tensor")
        );
        assert_eq!(dict.notes().len(), 1);
    }

    #[test]
    fn hostile_headers_are_typed_errors() {
        use SafeTensorsError as E;
        let header = |body: &str| read(&file(body, &[0; 8])).unwrap_err();
        assert!(matches!(read(&[]), Err(E::HeaderLength { found: 0 })));
        assert!(matches!(read(&[0xff; 16]), Err(E::HeaderLength { .. })));
        assert!(matches!(read(&(1u64 << 60).to_le_bytes()), Err(E::HeaderLength { .. })));
        assert!(matches!(read(&file("{\"a\":", &[])), Err(E::Header { .. })));
        assert!(matches!(read(&file("[1]", &[])), Err(E::Header { .. })));
        let f32s = |shape: &str, end: &str| {
            header(&format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#))
        };
        assert!(matches!(f32s("[3]", "8"), E::Layout { .. }));
        assert!(matches!(f32s("[1152921504606846976,1152921504606846976]", "8"), E::Layout { .. }));
        assert!(matches!(f32s("[288230376151711744]", "1152921504606846976"), E::Length { .. }));
        assert!(matches!(f32s("[1]", "4"), E::Length { .. }));
        assert!(matches!(f32s("[-1]", "4"), E::Header { .. }));
        let fp8 = header(r#"{"w":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#);
        assert!(matches!(fp8, E::ElementType { name, found } if name == "w" && found == "F8_E4M3"));
    }

    #[test]
    fn a_name_given_twice_is_an_error() {
        let entry = r#""a":{"dtype":"F32","shape":[1],"data_offsets":"#;
        let header = format!("{{{entry}[0,4]}},{entry}[4,8]}}}}");
        assert!(read(&file(&header, &[0; 8])).is_err());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]);
        assert!(read(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
