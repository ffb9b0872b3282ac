//! Stored tensors: from the file's bytes to values.

use super::dense::{Dense, Extent, MAX_INTEGERS, MAX_RANK};
use super::proto::TensorProto;
use crate::tensor::element_count;

/// A tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    /// Floating-point values, as `f32`.
    Floats {
        /// The values.
        values: Dense<f32>,
        /// Whether the file holds doubles that `f32` cannot hold exactly.
        rounded: bool,
    },
    /// Integers or booleans.
    Integers(Dense<Extent>),
}

/// `TensorProto.DataType` of `onnx.proto3`.
pub(super) mod data_type {
    pub(in super::super) const FLOAT: i32 = 1;
    pub(in super::super) const INT32: i32 = 6;
    pub(in super::super) const INT64: i32 = 7;
    pub(in super::super) const BOOL: i32 = 9;
    pub(in super::super) const FLOAT16: i32 = 10;
    pub(in super::super) const DOUBLE: i32 = 11;
    pub(in super::super) const BFLOAT16: i32 = 16;
}

/// The name of a `TensorProto.DataType`.
pub(super) fn data_type_name(data_type: i32) -> String {
    const NAMES: [&str; 24] = [
        "undefined",
        "float32",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "float64",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];
    let name = usize::try_from(data_type).ok().and_then(|i| NAMES.get(i));
    name.map_or_else(|| format!("type {data_type}"), |&name| name.to_owned())
}

/// The values of a stored tensor, or a sentence on why they cannot be read.
pub(super) fn decode(tensor: &TensorProto) -> Result<Stored, String> {
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return Err("its values are in another file (external data); save the model as one file".to_owned());
    }
    if tensor.segment.is_some() {
        return Err("it is stored in segments; save the model without them".to_owned());
    }
    let (shape, count) = shape(tensor)?;
    let raw = &tensor.raw_data;
    let floats = |data| Ok(Stored::Floats { values: Dense::new(shape.clone(), data)?, rounded: false });
    match tensor.data_type {
        data_type::FLOAT => floats(values(count, raw, &tensor.float_data, f32::from_le_bytes, |x| x)?),
        data_type::FLOAT16 => {
            let from_bytes = |bytes| f16_to_f32(u16::from_le_bytes(bytes));
            floats(values(count, raw, &tensor.int32_data, from_bytes, |bits| f16_to_f32(bits as u16))?)
        }
        data_type::BFLOAT16 => {
            let from_bytes = |bytes| bf16_to_f32(u16::from_le_bytes(bytes));
            floats(values(count, raw, &tensor.int32_data, from_bytes, |bits| bf16_to_f32(bits as u16))?)
        }
        data_type::DOUBLE => {
            let doubles = values(count, raw, &tensor.double_data, f64::from_le_bytes, |x| x)?;
            let rounded = doubles.iter().any(|&x| !x.is_nan() && f64::from(x as f32) != x);
            let data = doubles.into_iter().map(|x| x as f32).collect();
            Ok(Stored::Floats { values: Dense::new(shape, data)?, rounded })
        }
        data_type::INT32 | data_type::INT64 | data_type::BOOL if count > MAX_INTEGERS => Err(format!(
            "it holds {count} integers; only integers that describe shapes, at most {MAX_INTEGERS}, are supported"
        )),
        data_type::INT64 => integers(
            shape,
            values(count, raw, &tensor.int64_data, |b| Extent::Known(i64::from_le_bytes(b)), Extent::Known)?,
        ),
        data_type::INT32 => {
            integers(shape, values(count, raw, &tensor.int32_data, |b| small(i32::from_le_bytes(b)), small)?)
        }
        data_type::BOOL => integers(
            shape,
            values(count, raw, &tensor.int32_data, |[b]: [u8; 1]| small(i32::from(b)), small)?,
        ),
        other => Err(format!(
            "its values are {}; expected float32, float16, bfloat16, float64, int32, int64 or bool",
            data_type_name(other)
        )),
    }
}

fn integers(shape: Vec<usize>, data: Vec<Extent>) -> Result<Stored, String> {
    Ok(Stored::Integers(Dense::new(shape, data)?))
}

fn small(value: i32) -> Extent {
    Extent::Known(i64::from(value))
}

fn shape(tensor: &TensorProto) -> Result<(Vec<usize>, usize), String> {
    let dims = &tensor.dims;
    if dims.len() > MAX_RANK {
        return Err(format!("it has {} dimensions; at most {MAX_RANK} are supported", dims.len()));
    }
    let shape: Option<Vec<usize>> = dims.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let sized = shape.and_then(|shape| element_count(&shape).map(|count| (shape, count)));
    sized.ok_or_else(|| format!("its dimensions {dims:?} are negative or too large"))
}

/// `count` values, from `raw` bytes if there are any and else from the `typed` field. Allocates only what the file holds.
fn values<const SIZE: usize, S: Copy, T>(
    count: usize,
    raw: &[u8],
    typed: &[S],
    from_bytes: impl Fn([u8; SIZE]) -> T,
    from_typed: impl Fn(S) -> T,
) -> Result<Vec<T>, String> {
    if raw.is_empty() {
        return if typed.len() == count {
            Ok(typed.iter().map(|&value| from_typed(value)).collect())
        } else {
            Err(format!("it holds {} values; its dimensions ask for {count}", typed.len()))
        };
    }
    let (chunks, rest) = raw.as_chunks::<SIZE>();
    if chunks.len() == count && rest.is_empty() && typed.is_empty() {
        Ok(chunks.iter().map(|&bytes| from_bytes(bytes)).collect())
    } else {
        Err(format!("it holds {} bytes; its dimensions ask for {count} values of {SIZE} bytes", raw.len()))
    }
}

/// IEEE 754 binary16, exactly.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), bits & 0x3ff);
    match exponent {
        // Subnormal: mantissa · 2^-24.
        0 => sign * f32::from(mantissa) * 2f32.powi(-24),
        31 if mantissa == 0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * f32::from(mantissa | 0x400) * 2f32.powi(exponent - 25),
    }
}

/// The upper half of an `f32`.
fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dims: &[i64], data_type: i32) -> TensorProto {
        TensorProto { dims: dims.to_vec(), data_type, ..TensorProto::default() }
    }

    fn floats(tensor: &TensorProto) -> Vec<f32> {
        match decode(tensor) {
            Ok(Stored::Floats { values, .. }) => values.data().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_float_type_reads_from_raw_bytes_and_from_its_field() {
        let raw = |data_type, bytes: &[u8]| {
            floats(&TensorProto { raw_data: bytes.to_vec(), ..tensor(&[2], data_type) })
        };
        assert_eq!(raw(data_type::FLOAT, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]), [1.0, -2.0]);
        assert_eq!(raw(data_type::FLOAT16, &[0x00, 0x3c, 0x01, 0x80]), [1.0, -(2f32.powi(-24))]);
        assert_eq!(raw(data_type::BFLOAT16, &[0x80, 0x3f, 0x00, 0xc0]), [1.0, -2.0]);
        let doubles: Vec<u8> = [0.5f64, -3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(raw(data_type::DOUBLE, &doubles), [0.5, -3.0]);
        let typed = TensorProto { float_data: vec![1.5, 2.5], ..tensor(&[2, 1], data_type::FLOAT) };
        assert_eq!(floats(&typed), [1.5, 2.5]);
        let typed = TensorProto { int32_data: vec![0x3c00, 0x7c00], ..tensor(&[2], data_type::FLOAT16) };
        assert_eq!(floats(&typed), [1.0, f32::INFINITY]);
        let typed = TensorProto { int32_data: vec![0x3f80], ..tensor(&[1], data_type::BFLOAT16) };
        assert_eq!(floats(&typed), [1.0]);
    }

    #[test]
    fn half_precision_matches_its_definition() {
        // The largest finite value, the smallest normal, and the order of all positive patterns.
        assert_eq!(f16_to_f32(0x7bff), 65504.0);
        assert_eq!(f16_to_f32(0x0400), 2f32.powi(-14));
        assert!((0..0x7c00).all(|bits| f16_to_f32(bits) < f16_to_f32(bits + 1)));
        assert!((0..0x7c00).all(|bits| f16_to_f32(bits | 0x8000) == -f16_to_f32(bits)));
        assert!(f16_to_f32(0x7c01).is_nan() && f16_to_f32(0x8000).is_sign_negative());
    }

    #[test]
    fn doubles_that_do_not_fit_are_reported() {
        let of = |x: f64| decode(&TensorProto { double_data: vec![x], ..tensor(&[], data_type::DOUBLE) });
        assert!(matches!(of(0.1), Ok(Stored::Floats { rounded: true, .. })));
        assert!(matches!(of(0.25), Ok(Stored::Floats { rounded: false, .. })));
        assert!(matches!(of(f64::NAN), Ok(Stored::Floats { rounded: false, .. })));
    }

    #[test]
    fn integers_are_kept_exactly() {
        let typed = TensorProto { int64_data: vec![-1, i64::MAX], ..tensor(&[2], data_type::INT64) };
        let expected = Dense::vector(vec![Extent::Known(-1), Extent::Known(i64::MAX)]);
        assert_eq!(decode(&typed), Ok(Stored::Integers(expected)));
        let bools = TensorProto { raw_data: vec![0, 1], ..tensor(&[2], data_type::BOOL) };
        let expected = Dense::vector(vec![Extent::Known(0), Extent::Known(1)]);
        assert_eq!(decode(&bools), Ok(Stored::Integers(expected)));
    }

    #[test]
    fn claims_beyond_the_data_are_refused() {
        let error = |tensor: &TensorProto| decode(tensor).unwrap_err();
        for dims in [&[1 << 60][..], &[1 << 40, 1 << 40], &[-1], &[2, 3]] {
            for data_type in [data_type::FLOAT, data_type::INT64, data_type::DOUBLE, data_type::FLOAT16] {
                error(&TensorProto { raw_data: vec![0; 16], ..tensor(dims, data_type) });
                error(&TensorProto { float_data: vec![0.0; 2], ..tensor(dims, data_type) });
            }
        }
        assert!(error(&tensor(&[1; 9], data_type::FLOAT)).contains("9 dimensions"));
        assert!(error(&tensor(&[1], 8)).contains("string"));
        assert!(error(&tensor(&[1], 99)).contains("type 99"));
        let external = TensorProto { data_location: 1, ..tensor(&[1], data_type::FLOAT) };
        assert!(error(&external).contains("external data"));
        let segment = TensorProto { segment: Some(super::super::proto::Segment {}), ..tensor(&[], 1) };
        assert!(error(&segment).contains("segments"));
        let large = TensorProto { raw_data: vec![0; 520], ..tensor(&[65], data_type::INT64) };
        assert!(error(&large).contains("65 integers"));
    }
}
