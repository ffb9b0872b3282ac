//! Choosing scales: what is written, what is refused, and what fits values at the limits.

use proptest::prelude::*;
use temper_core::number::{
    Codec, Granularity, Grid, NumberFormat, Quantisation, QuantisationError, RangeRule, Scheme,
};

const INT8: NumberFormat = NumberFormat::Int(8);
const UINT8: NumberFormat = NumberFormat::Uint(8);
const SINT8: NumberFormat = NumberFormat::Sint(8);
const BINARY: NumberFormat = NumberFormat::Binary;

fn with_range(range: RangeRule) -> Quantisation {
    Quantisation { range: Some(range), ..Quantisation::default() }
}

fn with_scheme(scheme: Scheme) -> Quantisation {
    Quantisation { scheme: Some(scheme), ..Quantisation::default() }
}

fn per_channel() -> Quantisation {
    Quantisation { granularity: Granularity::Channel, ..Quantisation::default() }
}

fn grids(format: NumberFormat, quantisation: &Quantisation, values: &[f32]) -> Vec<(f32, i32)> {
    let codec = Codec::fit(format, quantisation, values, 1).expect("a sound choice");
    codec.grids().iter().map(|grid| (grid.scale, grid.zero_point)).collect()
}

fn stored(codec: &Codec, values: &[f32]) -> Vec<f32> {
    let mut stored = values.to_vec();
    codec.store(&mut stored);
    stored
}

#[test]
fn known_answers() {
    let values = [-1.0, 0.5, 2.54, 0.0];
    assert_eq!(grids(INT8, &Quantisation::default(), &values), [(0.02, 0)]);
    assert_eq!(grids(SINT8, &Quantisation::default(), &values), [(0.02, 0)]);
    // 255 steps over −1..4.1 are 0.02 each; −1 is 50 steps below zero.
    let values = [-1.0, 4.1];
    assert_eq!(grids(UINT8, &Quantisation::default(), &values), [(0.02, 50)]);
    assert_eq!(grids(INT8, &with_scheme(Scheme::Affine), &values), [(0.02, 50 - 128)]);
    assert_eq!(grids(BINARY, &Quantisation::default(), &[1.0, -2.0, 0.0, 3.0]), [(1.5, 0)]);
    assert_eq!(grids(BINARY, &with_range(RangeRule::Given(1.0)), &[5.0]), [(1.0, 0)]);
    assert_eq!(grids(NumberFormat::Int(4), &with_range(RangeRule::Given(3.5)), &[100.0]), [(0.5, 0)]);
    let interval = with_range(RangeRule::Interval { low: -1.0, high: 4.1 });
    assert_eq!(grids(UINT8, &interval, &[100.0]), [(0.02, 50)]);
    // Magnitudes 0 to 10: the 75th percentile is 7.5. The central half of −10..10 is −5..5.
    let ramp: Vec<f32> = (-10..=10).map(|i| i as f32).collect();
    let half: Vec<f32> = (0..=10).map(|i| i as f32).collect();
    assert_eq!(grids(INT8, &with_range(RangeRule::Percentile(75.0)), &half), [(7.5 / 127.0, 0)]);
    // 10 / 255 as an `f32` is a little more than that: −5 is a little less than 127.5 steps below zero.
    assert_eq!(grids(UINT8, &with_range(RangeRule::Percentile(50.0)), &ramp), [(10.0 / 255.0, 127)]);
}

#[test]
fn an_affine_range_is_widened_to_contain_zero() {
    assert_eq!(grids(UINT8, &Quantisation::default(), &[2.0, 5.1]), [(0.02, 0)]);
    assert_eq!(grids(UINT8, &Quantisation::default(), &[-5.1, -2.0]), [(0.02, 255)]);
    let codec = Codec::from_ranges(UINT8, &Quantisation::default(), &[(2.0, 5.1)], 1).expect("a sound range");
    assert_eq!(codec.grids(), [Grid { scale: 0.02, zero_point: 0 }]);
}

#[test]
fn nothing_but_zeros_has_scale_one() {
    for format in [INT8, SINT8, UINT8, BINARY] {
        for values in [&[][..], &[0.0, -0.0], &[f32::NAN, f32::INFINITY]] {
            assert_eq!(grids(format, &Quantisation::default(), values), [(1.0, 0)], "{format} {values:?}");
        }
    }
    let values = [0.0, 0.0, 1.27, -0.5];
    let codec = Codec::fit(INT8, &per_channel(), &values, 2).expect("two channels");
    assert_eq!(codec.grids().iter().map(|grid| grid.scale).collect::<Vec<_>>(), [1.0, 0.01]);
    assert_eq!(stored(&codec, &values), [0.0, 0.0, 1.27, -0.5]);
}

#[test]
fn what_is_no_number_neither_stretches_the_range_nor_spreads() {
    let values = [f32::NAN, 1.27, f32::INFINITY, f32::NEG_INFINITY, -0.64];
    let codec = Codec::fit(INT8, &Quantisation::default(), &values, 1).expect("defaults");
    assert_eq!(stored(&codec, &values), [0.0, 1.27, 1.27, -1.27, -0.64]);
    let codec = Codec::fit(UINT8, &Quantisation::default(), &values, 1).expect("defaults");
    let read = stored(&codec, &values);
    assert_eq!((read[0], read[2], read[3]), (0.0, codec.decode(0, 255), codec.decode(0, 0)));
}

#[test]
fn tiny_and_huge_ranges_have_normal_scales_and_finite_values() {
    let tiny = f32::from_bits(1);
    for format in [INT8, NumberFormat::Int(16), SINT8, UINT8, NumberFormat::Uint(2), BINARY] {
        for magnitude in [tiny, f32::MIN_POSITIVE, 1e-37, 1e37, f32::MAX] {
            let values = [magnitude, -magnitude, magnitude / 2.0];
            let codec = Codec::fit(format, &Quantisation::default(), &values, 1).expect("defaults");
            assert!(codec.scale(0).is_normal() && codec.scale(0).recip().is_normal(), "{format} {magnitude}");
            assert!(stored(&codec, &values).iter().all(|value| value.is_finite()), "{format} {magnitude}");
            let words = 0..1u64 << format.bit_width();
            assert!(words.into_iter().all(|word| codec.decode(0, word).is_finite()), "{format} {magnitude}");
        }
    }
}

#[test]
fn channels_are_runs_of_values_that_repeat_for_every_image() {
    let weights = [0.127, 0.01, 12.7, 1.0, -127.0, 10.0];
    let codec = Codec::fit(INT8, &per_channel(), &weights, 3).expect("three channels");
    assert_eq!(codec.grids().iter().map(|grid| grid.scale).collect::<Vec<_>>(), [0.001, 0.1, 1.0]);
    assert_eq!((0..7).map(|index| codec.channel_of(index)).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2, 0]);

    // Two images `[N, C, H, W] = [2, 2, 1, 3]`.
    let codec =
        Codec::from_ranges(INT8, &per_channel(), &[(-1.27, 0.0), (0.0, 127.0)], 3).expect("two channels");
    let image = [0.014, 5.0, -5.0, 0.6, 200.0, -1.4];
    let read = [0.01, 1.27, -1.27, 1.0, 127.0, -1.0];
    assert_eq!(stored(&codec, &[image, image].concat()), [read, read].concat());
    assert_eq!(codec.decode(9, codec.encode(9, 0.6)), 1.0);

    let one = Codec::from_ranges(INT8, &Quantisation::default(), &[(-1.0, 1.0)], 0).expect("one range");
    assert_eq!(one.channel_of(usize::MAX), 0);
    let empty = Codec::fit(INT8, &per_channel(), &[], 3).expect("channels of no values");
    assert_eq!((empty.grids().len(), empty.channel_of(5)), (3, 0));
}

#[test]
fn scale_and_zero_point_are_words_that_can_be_struck() {
    let mut codec = Codec::fit(UINT8, &Quantisation::default(), &[-1.0, 4.1], 1).expect("defaults");
    let word = codec.encode(0, 4.1);
    codec.grid_mut(0).expect("one grid").zero_point ^= 1 << 7;
    assert!((codec.decode(0, word) - 77.0 * 0.02).abs() < 1e-6, "255 − (50 + 128) steps");
    for scale in [f32::NAN, f32::INFINITY, 0.0, -1.0, f32::MIN_POSITIVE / 4.0] {
        let struck = codec.clone().with_scale(0, scale).with_zero_point(0, i32::MIN);
        let read = struck.decode(0, word);
        assert!(read.is_nan() == scale.is_nan() && struck.encode(0, 1.0) < 256, "{scale}: {read}");
    }
    assert!(codec.grid_mut(1).is_none());
    assert!(codec.stores_zero_point());
    assert!(!Codec::fit(INT8, &Quantisation::default(), &[1.0], 1).expect("defaults").stores_zero_point());
}

#[test]
fn a_given_range_goes_before_calibrated_ones() {
    let codec =
        Codec::from_ranges(INT8, &with_range(RangeRule::Given(12.7)), &[(-1.0, 1.0)], 1).expect("sound");
    assert_eq!(codec.grids(), [Grid { scale: 0.1, zero_point: 0 }]);
    let codec = Codec::from_ranges(BINARY, &Quantisation::default(), &[(-0.2, 0.5)], 1).expect("sound");
    assert_eq!(codec.grids(), [Grid { scale: 0.5, zero_point: 0 }]);
    let wide = [(f32::NEG_INFINITY, f32::INFINITY)];
    let codec = Codec::from_ranges(UINT8, &Quantisation::default(), &wide, 1).expect("cut to ±2¹²⁶");
    assert!(codec.scale(0).is_finite());
}

#[test]
fn choices_that_make_no_sense_are_errors() {
    use QuantisationError as E;
    let check = |format: NumberFormat, quantisation: &Quantisation| quantisation.check(format);
    for format in ["f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2", "q7.8"] {
        let format = format.parse().expect("a format");
        assert_eq!(check(format, &Quantisation::default()), Ok(()));
        for quantisation in [with_scheme(Scheme::Symmetric), per_channel(), with_range(RangeRule::MaxAbs)] {
            assert_eq!(check(format, &quantisation), Err(E::NoScale { format }));
        }
    }
    for (format, scheme) in [(UINT8, Scheme::Symmetric), (SINT8, Scheme::Affine), (BINARY, Scheme::Affine)] {
        assert_eq!(check(format, &with_scheme(scheme)), Err(E::Scheme { format, found: scheme }));
    }
    let interval = RangeRule::Interval { low: -1.0, high: 1.0 };
    for (format, wrong) in [
        (INT8, &[RangeRule::MinMax, RangeRule::MeanAbs, interval][..]),
        (SINT8, &[RangeRule::MinMax, RangeRule::MeanAbs, interval]),
        (UINT8, &[RangeRule::MaxAbs, RangeRule::MeanAbs, RangeRule::Given(1.0)]),
        (BINARY, &[RangeRule::MinMax, RangeRule::MaxAbs, RangeRule::Percentile(99.0), interval]),
    ] {
        for rule in wrong {
            assert!(matches!(check(format, &with_range(*rule)), Err(E::Rule { .. })), "{format} {rule:?}");
        }
    }
    for value in [0.0, -1.0, 100.1, f64::NAN, f64::INFINITY] {
        let error = check(INT8, &with_range(RangeRule::Percentile(value)));
        assert!(matches!(error, Err(E::Percentile { .. })), "{value}");
    }
    for value in [0.0, -1.0, 1e-39, 1e38, f64::NAN, f64::INFINITY] {
        assert!(matches!(check(INT8, &with_range(RangeRule::Given(value))), Err(E::Given { .. })), "{value}");
    }
    for (low, high) in
        [(0.0, 0.0), (1.0, 2.0), (-2.0, -1.0), (1.0, -1.0), (f64::NAN, 1.0), (-1.0, f64::INFINITY)]
    {
        let error = check(UINT8, &with_range(RangeRule::Interval { low, high }));
        assert!(matches!(error, Err(E::Interval { .. })), "{low} {high}");
    }
    let impossible = NumberFormat::Int(200);
    assert!(matches!(Codec::fit(impossible, &per_channel(), &[1.0], 1), Err(E::Format(_))));
}

#[test]
fn tensors_and_ranges_that_do_not_fit_are_errors() {
    use QuantisationError as E;
    let values = [1.0; 6];
    for channels in [0, 4, 7, usize::MAX] {
        let error = Codec::fit(INT8, &per_channel(), &values, channels);
        assert_eq!(error, Err(E::Channels { values: 6, channels }));
    }
    assert!(
        Codec::fit(INT8, &Quantisation::default(), &values, 0).is_ok(),
        "channels do not count per tensor"
    );
    for (quantisation, ranges, size) in [
        (Quantisation::default(), &[][..], 1),
        (Quantisation::default(), &[(0.0, 1.0), (0.0, 1.0)], 1),
        (per_channel(), &[], 1),
        (per_channel(), &[(0.0, 1.0)], 0),
    ] {
        let error = Codec::from_ranges(INT8, &quantisation, ranges, size);
        assert!(matches!(error, Err(E::RangeCount { .. })), "{error:?}");
    }
    for range in [(1.0, -1.0), (f32::NAN, 1.0), (0.0, f32::NAN)] {
        let error = Codec::from_ranges(UINT8, &per_channel(), &[(0.0, 1.0), range], 1);
        assert!(matches!(error, Err(E::Range { channel: 1, .. })), "{error:?}");
    }
}

#[test]
fn messages_say_what_to_do() {
    let message = |format: NumberFormat, quantisation: Quantisation| {
        quantisation.check(format).expect_err("no sense").to_string()
    };
    assert_eq!(
        message(NumberFormat::F16, per_channel()),
        "quantisation: f16 has no scale to choose; leave scheme, granularity and range out"
    );
    assert_eq!(
        message(UINT8, with_scheme(Scheme::Symmetric)),
        "scheme: uint8 is never symmetric; leave scheme out or choose another format"
    );
    assert_eq!(
        message(INT8, with_range(RangeRule::MinMax)),
        "range: min-max does not go with int8, symmetric; expected max-abs, percentile or given"
    );
}

#[test]
fn it_is_written_as_in_a_specification() {
    let read = |text: &str| toml::from_str::<Quantisation>(text);
    assert_eq!(read(""), Ok(Quantisation::default()));
    for (text, expected) in [
        ("scheme = \"affine\"\n", with_scheme(Scheme::Affine)),
        ("granularity = \"channel\"\n", per_channel()),
        ("range = \"max-abs\"\n", with_range(RangeRule::MaxAbs)),
        ("range = \"min-max\"\n", with_range(RangeRule::MinMax)),
        ("range = \"mean-abs\"\n", with_range(RangeRule::MeanAbs)),
        ("[range]\npercentile = 99.9\n", with_range(RangeRule::Percentile(99.9))),
        ("[range]\ngiven = 1.5\n", with_range(RangeRule::Given(1.5))),
        (
            "[range.interval]\nlow = -1.0\nhigh = 2.0\n",
            with_range(RangeRule::Interval { low: -1.0, high: 2.0 }),
        ),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
        assert_eq!(toml::to_string(&expected).expect("writes"), text);
    }
    assert_eq!(read("range = { percentile = 99 }"), Ok(with_range(RangeRule::Percentile(99.0))));
    for text in [
        "shceme = \"affine\"",
        "scheme = \"Affine\"",
        "granularity = \"row\"",
        "range = \"max\"",
        "range = \"given\"",
        "range = 1.5",
        "range = { interval = { low = 0 } }",
        "range = { interval = { low = 0, high = 1, step = 1 } }",
        "range = { given = 1, percentile = 99 }",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any values at all are fitted and stored: what was finite stays finite, and storing twice is storing once.
    #[test]
    fn any_values_are_stored(
        bits in prop::collection::vec(any::<u32>(), 0..40),
        percent in prop::option::of(0.001..=100.0f64),
        format in prop::sample::select(vec![INT8, UINT8, SINT8, NumberFormat::Int(16), NumberFormat::Uint(16)]),
    ) {
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let quantisation = Quantisation { range: percent.map(RangeRule::Percentile), ..Quantisation::default() };
        let codec = Codec::fit(format, &quantisation, &values, 1).expect("a sound choice");
        let once = stored(&codec, &values);
        prop_assert!(once.iter().all(|value| value.is_finite()));
        prop_assert_eq!(stored(&codec, &once), once);
    }
}
