//! The written form of a float: exact through JSON, for every value but NaN.
//!
//! JSON has no infinities: they are the strings `"inf"` and `"-inf"`. And readers (serde's tagged enums among them) take a number for an
//! `f64` and round that to `f32`. The shortest digits of an `f32` survive this for every value but ±7.038531e-26 (found by trying all),
//! which gets the digits of the `f64`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Float {
    Number(f64),
    Infinity(Infinity),
}

#[derive(Serialize, Deserialize)]
enum Infinity {
    #[serde(rename = "inf")]
    Positive,
    #[serde(rename = "-inf")]
    Negative,
}

/// Writes a float; NaN is an error.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(super) fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let float = match *value {
        f32::INFINITY => Float::Infinity(Infinity::Positive),
        f32::NEG_INFINITY => Float::Infinity(Infinity::Negative),
        value if value.is_nan() => return Err(ser::Error::custom("a float must not be NaN")),
        value => Float::Number(written(value)),
    };
    float.serialize(serializer)
}

/// The `f64` of the value's own shortest digits where that rounds back to the value, else the value itself.
fn written(value: f32) -> f64 {
    match value.to_string().parse::<f64>() {
        Ok(short) if short as f32 == value => short,
        _ => f64::from(value),
    }
}

/// Reads a number, or an infinity as a string (or as a number, where the format has one).
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    match Float::deserialize(deserializer) {
        Ok(Float::Number(value)) => Ok(value as f32),
        Ok(Float::Infinity(Infinity::Positive)) => Ok(f32::INFINITY),
        Ok(Float::Infinity(Infinity::Negative)) => Ok(f32::NEG_INFINITY),
        Err(_) => Err(de::Error::custom("expected a number, \"inf\" or \"-inf\"")),
    }
}

#[cfg(test)]
mod tests {
    use crate::network::Op;

    #[test]
    fn infinite_limits_survive_json() {
        for (min, max, written) in [
            (f32::NEG_INFINITY, f32::INFINITY, r#"{"kind":"clip","min":"-inf","max":"inf"}"#),
            (0.0, 6.0, r#"{"kind":"clip","min":0.0,"max":6.0}"#),
            (-0.1, 16_777_216.0, r#"{"kind":"clip","min":-0.1,"max":16777216.0}"#),
        ] {
            let op = Op::Clip { min, max };
            assert_eq!(serde_json::to_string(&op).unwrap(), written);
            assert_eq!(serde_json::from_str::<Op>(written).unwrap(), op);
        }
        assert_eq!(
            serde_json::from_str::<Op>(r#"{"kind":"clip","min":0,"max":6}"#).unwrap(),
            Op::Clip { min: 0.0, max: 6.0 }
        );
    }

    #[test]
    fn digits_that_would_be_rounded_twice_are_avoided() {
        let op = Op::LeakyRelu { negative_slope: f32::from_bits(0x15ae_43fd) };
        let written = serde_json::to_string(&op).unwrap();
        assert_eq!(serde_json::from_str::<Op>(&written).unwrap(), op);
        assert!(written.contains("7.038530691851209e-26"), "{written}");
    }

    #[test]
    fn what_is_no_float_is_an_error() {
        for limit in ["null", "\"nan\"", "true", "[1]"] {
            let error = serde_json::from_str::<Op>(&format!(r#"{{"kind":"clip","min":0,"max":{limit}}}"#));
            assert!(
                error.unwrap_err().to_string().contains("expected a number, \"inf\" or \"-inf\""),
                "{limit}"
            );
        }
        assert!(serde_json::to_string(&Op::Clip { min: f32::NAN, max: 1.0 }).is_err());
    }
}
