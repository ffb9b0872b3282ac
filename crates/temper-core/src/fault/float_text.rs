//! The written form of an optional number that may be infinite or NaN.
//!
//! JSON has neither: they are the strings `"inf"`, `"-inf"`, `"nan"` and `"-nan"`, which are read from any format.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, \"inf\", \"-inf\" or \"nan\"")]
enum Written {
    Number(f64),
    Text(String),
}

/// The word for a number that JSON lacks.
pub(crate) fn word(value: f64) -> Option<&'static str> {
    match value {
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        value if value.is_nan() => Some(if value.is_sign_negative() { "-nan" } else { "nan" }),
        _ => None,
    }
}

/// The number that a word stands for.
pub(crate) fn number(word: &str) -> Option<f64> {
    [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN]
        .into_iter()
        .find(|&value| self::word(value) == Some(word))
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let written = value.map(|value| match word(value) {
        Some(word) => Written::Text(word.to_owned()),
        None => Written::Number(value),
    });
    written.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::deserialize(deserializer)? {
        None => Ok(None),
        Some(Written::Number(value)) => Ok(Some(value)),
        Some(Written::Text(text)) => match number(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(de::Error::invalid_value(
                de::Unexpected::Str(&text),
                &"a number, \"inf\", \"-inf\" or \"nan\"",
            )),
        },
    }
}
