//! Choosing conditions by their swept values.

use std::str::FromStr;

use super::error::{AnalysisError, listed};
use super::sample::Sample;
use crate::campaign::{Condition, SweptValue};

/// Conditions chosen by some of their swept values, as `format = int8, bit = 3`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionFilter {
    text: String,
    wanted: Vec<(String, String)>,
}

impl FromStr for ConditionFilter {
    type Err = AnalysisError;

    fn from_str(text: &str) -> Result<Self, AnalysisError> {
        let refused = || AnalysisError::Filter { found: text.to_owned() };
        let mut wanted: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            match (part.split_once('='), wanted.last_mut()) {
                (Some((axis, value)), _) => wanted.push((axis.trim().to_owned(), value.trim().to_owned())),
                // A value with a comma in it.
                (None, Some((_, value))) => *value = format!("{value},{part}"),
                (None, None) => return Err(refused()),
            }
        }
        if wanted.iter().any(|(axis, value)| axis.is_empty() || value.is_empty()) {
            return Err(refused());
        }
        Ok(Self { text: text.to_owned(), wanted })
    }
}

impl ConditionFilter {
    /// Whether a condition has all these values: numbers are compared as numbers.
    pub fn matches(&self, condition: &Condition) -> bool {
        // A value may contain an equals sign itself.
        self.text.trim() == condition.label()
            || self.wanted.iter().all(|(axis, value)| {
                condition.swept.iter().any(|swept| swept.axis == *axis && is_written(&swept.value, value))
            })
    }

    /// Those samples whose condition matches.
    ///
    /// # Errors
    /// If none does.
    pub fn choose<'a>(&self, samples: Vec<Sample<'a>>) -> Result<Vec<Sample<'a>>, AnalysisError> {
        let (chosen, others): (Vec<_>, Vec<_>) =
            samples.into_iter().partition(|sample| self.matches(sample.condition));
        if chosen.is_empty() {
            let conditions = listed(others.iter().map(Sample::label));
            return Err(AnalysisError::NoCondition { wanted: self.text.clone(), conditions });
        }
        Ok(chosen)
    }
}

/// Whether a text stands for a value.
fn is_written(value: &SweptValue, text: &str) -> bool {
    match value {
        SweptValue::Integer(value) => text.parse::<f64>().is_ok_and(|found| found == *value as f64),
        SweptValue::Real(value) => text.parse::<f64>().is_ok_and(|found| found == *value),
        SweptValue::Text(value) => text == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Swept;

    fn condition(swept: &[(&str, SweptValue)]) -> Condition {
        let swept =
            swept.iter().map(|(axis, value)| Swept { axis: (*axis).to_owned(), value: value.clone() });
        Condition { id: 0, swept: swept.collect(), sites: 1, draws: 1 }
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let format = ("format", SweptValue::Text("int8".to_owned()));
        let found = condition(&[format, ("bit", SweptValue::Integer(3)), ("sigma", SweptValue::Real(1e-6))]);
        let matches = |text: &str| text.parse::<ConditionFilter>().is_ok_and(|filter| filter.matches(&found));
        for text in ["bit = 3", "bit=3,format = int8", "sigma = 0.000001", "sigma = 1E-6 , bit = 3.0"] {
            assert!(matches(text), "{text}");
        }
        for text in ["bit = 4", "bit = 3, format = f32", "sigma = 1e-5", "layer = 3", "bit = three"] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn values_with_commas_and_equals_signs() {
        for layer in ["{a,b}", "{a,b=c}"] {
            let found =
                condition(&[("layer", SweptValue::Text(layer.to_owned())), ("bit", SweptValue::Integer(3))]);
            let filter: ConditionFilter = found.label().parse().unwrap_or_else(|error| panic!("{error}"));
            assert!(filter.matches(&found), "{layer}");
        }
        let found = condition(&[("layer", SweptValue::Text("{a,b}".to_owned()))]);
        assert!("layer = {a,b}".parse::<ConditionFilter>().is_ok_and(|filter| filter.matches(&found)));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in ["", "bit", "= 3", "bit =", ",bit = 3"] {
            let error = text.parse::<ConditionFilter>().expect_err("no pair").to_string();
            assert!(error.contains("expected \"axis = value\""), "{error}");
        }
    }
}
