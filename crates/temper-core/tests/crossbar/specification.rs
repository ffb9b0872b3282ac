//! Specifications and drawn chips: refused, written and read.

use temper_core::hardware::{
    Crossbar, CrossbarSpec, Programming, ProgrammingModel, ReadNoise, ReadNoiseModel, WeightScaling,
};

use crate::{ideal, quiet, stream};

#[test]
fn impossible_crossbars_are_refused() {
    let good = CrossbarSpec::default;
    let programming = |sigma| Programming { model: ProgrammingModel::Relative, sigma };
    let read_noise = |sigma| ReadNoise { model: ReadNoiseModel::Relative, sigma };
    let bits = "expected 2 to 24, or absent for an ideal converter";
    for (spec, message) in [
        (CrossbarSpec { g_min: -1.0, ..good() }, "g_min: expected a finite number of at least 0, found -1"),
        (
            CrossbarSpec { g_max: f64::NAN, ..good() },
            "g_max: expected a finite number of at least 0, found NaN",
        ),
        (
            CrossbarSpec { g_max: f64::INFINITY, ..good() },
            "g_max: expected a finite number of at least 0, found inf",
        ),
        (CrossbarSpec { g_min: 40.0, ..good() }, "g_min: expected less than g_max (40 µS), found 40 µS"),
        (
            CrossbarSpec { levels: Some(1), ..good() },
            "levels: expected at least 2, or absent for any conductance, found 1",
        ),
        (
            CrossbarSpec { levels: Some(0), ..good() },
            "levels: expected at least 2, or absent for any conductance, found 0",
        ),
        (
            CrossbarSpec { programming: programming(f64::NAN), ..good() },
            "programming.sigma: expected a finite number of at least 0, found NaN",
        ),
        (
            CrossbarSpec { read_noise: read_noise(-0.1), ..good() },
            "read_noise.sigma: expected a finite number of at least 0, found -0.1",
        ),
        (
            CrossbarSpec { device_stuck_at_gmin_rate: 1.5, ..good() },
            "device_stuck_at_gmin_rate: expected a probability, 0 to 1, found 1.5",
        ),
        (
            CrossbarSpec { device_stuck_at_gmax_rate: f64::NAN, ..good() },
            "device_stuck_at_gmax_rate: expected a probability, 0 to 1, found NaN",
        ),
        (
            CrossbarSpec { device_stuck_at_gmin_rate: 0.75, device_stuck_at_gmax_rate: 0.5, ..good() },
            "device_stuck_at_gmin_rate and device_stuck_at_gmax_rate: expected at most 1 together, found 1.25",
        ),
        (CrossbarSpec { dac_bits: Some(0), ..good() }, &format!("dac_bits: {bits}, found 0")),
        (CrossbarSpec { dac_bits: Some(33), ..good() }, &format!("dac_bits: {bits}, found 33")),
        (CrossbarSpec { adc_bits: Some(1), ..good() }, &format!("adc_bits: {bits}, found 1")),
        (
            CrossbarSpec { input_range: Some(0.0), ..good() },
            "input_range: expected a finite number above 0, found 0",
        ),
        (
            CrossbarSpec { adc_range: -12.0, ..good() },
            "adc_range: expected a finite number above 0, found -12",
        ),
        (CrossbarSpec { rows: 0, ..good() }, "rows: expected at least 1, found 0"),
    ] {
        assert_eq!(spec.check().expect_err("refused").to_string(), message);
    }
    assert_eq!(good().check(), Ok(()));
    assert_eq!(ideal().check(), Ok(()));
    let extremes = CrossbarSpec {
        dac_bits: Some(24),
        adc_bits: Some(2),
        rows: usize::MAX,
        levels: Some(u32::MAX),
        ..good()
    };
    extremes.check().expect("at the limits");
    let (found, _) = quiet(&extremes, [1, 3], &[1.0, 0.5, -0.25], &[1.0, 2.0, 3.0]);
    assert!(found[0].is_finite());
}

#[test]
fn specifications_and_chips_survive_being_written() {
    let written = r#"
        g_max = 100.0
        levels = 16
        scaling = "output"
        programming = { model = "lognormal", sigma = 0.5 }
        device_stuck_at_gmax_rate = 0.25
        read_noise = { model = "relative", sigma = 0.01 }
        adc_bits = 8
        rows = 128
    "#;
    let spec: CrossbarSpec = toml::from_str(written).expect("a crossbar");
    let expected = CrossbarSpec {
        g_max: 100.0,
        levels: Some(16),
        scaling: WeightScaling::Output,
        programming: Programming { model: ProgrammingModel::Lognormal, sigma: 0.5 },
        device_stuck_at_gmax_rate: 0.25,
        read_noise: ReadNoise { model: ReadNoiseModel::Relative, sigma: 0.01 },
        adc_bits: Some(8),
        rows: 128,
        ..CrossbarSpec::default()
    };
    assert_eq!(spec, expected);
    for spec in [spec.clone(), ideal(), CrossbarSpec::default()] {
        let text = toml::to_string(&spec).expect("written");
        assert_eq!(toml::from_str::<CrossbarSpec>(&text).expect("read"), spec);
    }
    for unknown in ["levles = 4", "programming = { model = \"relative\", sigma = 0.1, mean = 1.0 }"] {
        let error = toml::from_str::<CrossbarSpec>(unknown).expect_err("refused").to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
    let crossbar = Crossbar::draw(&spec, [3, 4], &mut stream(7));
    let text = serde_json::to_string(&crossbar).expect("written");
    let read: Crossbar = serde_json::from_str(&text).expect("read");
    assert_eq!(read, crossbar);
    assert_eq!(read.check(), Ok(()));
    // False claims about a drawn chip.
    for (from, to, field) in [
        ("\"inputs\":4", "\"inputs\":5", "deviates"),
        ("\"inputs\":4", "\"inputs\":18446744073709551615", "deviates"),
        ("\"device\":", "\"device\":99", "stuck"),
        ("\"rows\":128", "\"rows\":0", "rows"),
    ] {
        assert!(text.contains(from), "{text}");
        let read: Crossbar = serde_json::from_str(&text.replacen(from, to, 1)).expect("read");
        let error = read.check().expect_err("refused").to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
