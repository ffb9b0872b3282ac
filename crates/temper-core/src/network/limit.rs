//! The written form of a limit that may be infinite: JSON has no infinities, so they are the strings `"inf"` and `"-inf"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Limit {
    Number(f32),
    Infinity(Infinity),
}

#[derive(Serialize, Deserialize)]
enum Infinity {
    #[serde(rename = "inf")]
    Positive,
    #[serde(rename = "-inf")]
    Negative,
}

/// Writes a limit; NaN is an error.
// By reference because serde calls it so.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
pub(super) fn serialize<S: Serializer>(limit: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let written = match *limit {
        f32::INFINITY => Limit::Infinity(Infinity::Positive),
        f32::NEG_INFINITY => Limit::Infinity(Infinity::Negative),
        limit if limit.is_nan() => return Err(ser::Error::custom("a limit must not be NaN")),
        limit => Limit::Number(limit),
    };
    written.serialize(serializer)
}

/// Reads a number, or an infinity as a string (or as a number, where the format has one).
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    match Limit::deserialize(deserializer) {
        Ok(Limit::Number(limit)) => Ok(limit),
        Ok(Limit::Infinity(Infinity::Positive)) => Ok(f32::INFINITY),
        Ok(Limit::Infinity(Infinity::Negative)) => Ok(f32::NEG_INFINITY),
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
    fn what_is_no_limit_is_an_error() {
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
