//! Number formats against `ml_dtypes`, PyTorch and NumPy (`fixtures/number`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use temper_core::number::{Codec, Granularity, NumberFormat, Quantisation, RangeRule, Scheme};

const CHANNELS: usize = 4;

#[derive(Deserialize)]
struct Golden {
    low_bits: Vec<u32>,
    floats: BTreeMap<String, Float>,
    samples: Vec<u32>,
    fake_quantised: Vec<FakeQuantised>,
    fixed_point: Vec<FixedPoint>,
    ranges: Vec<Ranges>,
    binary_scale: Vec<u32>,
}

#[derive(Deserialize)]
struct Float {
    decoded_sha256: String,
    encoded_sha256: String,
    decoded: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct FakeQuantised {
    format: NumberFormat,
    scheme: Scheme,
    scales: Vec<u32>,
    zero_points: Vec<i32>,
    per_tensor: Vec<Vec<u32>>,
    per_channel: Vec<u32>,
}

#[derive(Deserialize)]
struct FixedPoint {
    format: NumberFormat,
    codes: Vec<i64>,
    values: Vec<u32>,
}

#[derive(Deserialize)]
struct Ranges {
    percent: f64,
    symmetric_int8_scale: Vec<u32>,
    affine_uint8_scale: Vec<u32>,
    affine_uint8_zero_point: Vec<i32>,
}

fn golden() -> Golden {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "number", "golden.json"].iter().collect();
    serde_json::from_slice(&std::fs::read(path).expect("the fixture exists")).expect("the fixture is sound")
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn hex_digest(hasher: Sha256) -> String {
    hasher.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn without_scale(format: NumberFormat) -> Codec {
    Codec::fit(format, &Quantisation::default(), &[], 1).expect("nothing to choose")
}

#[test]
fn every_word_of_a_narrow_float_is_decoded_as_by_ml_dtypes() {
    for (name, golden) in golden().floats {
        let format: NumberFormat = name.parse().expect("a format");
        let codec = without_scale(format);
        let width = format.bit_width();
        let pattern = |word| match codec.decode(0, word) {
            value if value.is_nan() => 0x7fc0_0000,
            value => value.to_bits(),
        };
        let table: Vec<u32> = (0..1 << width).map(pattern).collect();
        if let Some(decoded) = golden.decoded {
            assert_eq!(table, decoded, "{name}");
        }
        let mut hasher = Sha256::new();
        for pattern in &table {
            hasher.update(pattern.to_le_bytes());
        }
        assert_eq!(hex_digest(hasher), golden.decoded_sha256, "{name}");
        // What a flip makes of a stored value is what the table says of the flipped word.
        for word in 0..1 << width {
            let stored = codec.encode(0, codec.decode(0, word));
            for bit in 0..width {
                assert_eq!(
                    pattern(stored ^ 1 << bit),
                    table[(word ^ 1 << bit) as usize],
                    "{name} {word} {bit}"
                );
            }
        }
    }
}

#[test]
fn every_tie_of_a_narrow_float_is_encoded_as_by_ml_dtypes_or_pytorch() {
    let golden = golden();
    for (name, float) in &golden.floats {
        let codec = without_scale(name.parse().expect("a format"));
        let mut hasher = Sha256::new();
        for upper in 0..1u32 << 19 {
            for low in &golden.low_bits {
                let value = f32::from_bits(upper << 13 | low);
                let word = if value.is_nan() { 0xffff } else { codec.encode(0, value) as u16 };
                hasher.update(word.to_le_bytes());
            }
        }
        assert_eq!(hex_digest(hasher), float.encoded_sha256, "{name}");
    }
}

/// A codec with given grids, for tensors of `values / channels` values a channel.
fn with_grids(
    format: NumberFormat,
    scheme: Scheme,
    granularity: Granularity,
    grids: &[(f32, i32)],
    channel_size: usize,
) -> Codec {
    let quantisation = Quantisation { scheme: Some(scheme), granularity, range: None };
    let ranges = vec![(-1.0, 1.0); grids.len()];
    let mut codec =
        Codec::from_ranges(format, &quantisation, &ranges, channel_size).expect("a sound quantisation");
    for (channel, &(scale, zero_point)) in grids.iter().enumerate() {
        codec = codec.with_scale(channel, scale).with_zero_point(channel, zero_point);
    }
    codec
}

#[test]
fn integers_are_those_of_pytorch() {
    let golden = golden();
    let samples = floats(&golden.samples);
    let channel_size = samples.len() / CHANNELS;
    for case in &golden.fake_quantised {
        let grids: Vec<(f32, i32)> = floats(&case.scales).into_iter().zip(case.zero_points.clone()).collect();
        let stored = |granularity, grids: &[(f32, i32)]| {
            let codec = with_grids(case.format, case.scheme, granularity, grids, channel_size);
            let mut stored = samples.clone();
            codec.store(&mut stored);
            bits(&stored)
        };
        for (grid, expected) in grids.iter().zip(&case.per_tensor) {
            assert_eq!(&stored(Granularity::Tensor, &[*grid]), expected, "{} {grid:?}", case.format);
        }
        assert_eq!(stored(Granularity::Channel, &grids), case.per_channel, "{}", case.format);
    }
}

#[test]
fn fixed_point_numbers_are_those_of_numpy() {
    let golden = golden();
    let samples = floats(&golden.samples);
    for case in &golden.fixed_point {
        let codec = without_scale(case.format);
        let mut stored = samples.clone();
        codec.store(&mut stored);
        let unused = 64 - case.format.bit_width();
        for (i, (&sample, &code)) in samples.iter().zip(&case.codes).enumerate() {
            let word = codec.encode(i, sample);
            assert_eq!((word << unused) as i64 >> unused, code, "{} {sample}", case.format);
            assert_eq!(codec.decode(i, word), f32::from_bits(case.values[i]), "{} {sample}", case.format);
            assert_eq!(stored[i], f32::from_bits(case.values[i]), "{} {sample}", case.format);
        }
    }
}

/// The scales and zero points that fit the samples: of each channel, then of the whole tensor.
fn fitted(format: NumberFormat, range: Option<RangeRule>, samples: &[f32]) -> Vec<(u32, i32)> {
    [Granularity::Channel, Granularity::Tensor]
        .into_iter()
        .flat_map(|granularity| {
            let quantisation = Quantisation { scheme: None, granularity, range };
            let codec = Codec::fit(format, &quantisation, samples, CHANNELS).expect("a sound quantisation");
            codec.grids().iter().map(|grid| (grid.scale.to_bits(), grid.zero_point)).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn fitted_grids_are_those_of_numpy() {
    let golden = golden();
    let samples = floats(&golden.samples);
    let symmetric = |scales: &[u32]| scales.iter().map(|scale| (*scale, 0)).collect::<Vec<_>>();
    for case in &golden.ranges {
        let rule = RangeRule::Percentile(case.percent);
        let int8 = symmetric(&case.symmetric_int8_scale);
        let uint8: Vec<(u32, i32)> =
            case.affine_uint8_scale.iter().copied().zip(case.affine_uint8_zero_point.clone()).collect();
        assert_eq!(fitted(NumberFormat::Int(8), Some(rule), &samples), int8, "{rule:?}");
        assert_eq!(fitted(NumberFormat::Uint(8), Some(rule), &samples), uint8, "{rule:?}");
        if case.percent == 100.0 {
            assert_eq!(fitted(NumberFormat::Int(8), None, &samples), int8);
            assert_eq!(fitted(NumberFormat::Uint(8), None, &samples), uint8);
        }
    }
    assert_eq!(fitted(NumberFormat::Binary, None, &samples), symmetric(&golden.binary_scale));
}
