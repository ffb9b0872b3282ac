//! Names of swept fields and their values, for readers.

use temper_core::campaign::{Condition, Swept, SweptValue};

use crate::number::Format;

/// Short names of axes: `hardware.1.model.quantiser.sigma` is `quantiser sigma`, where that names no other.
pub(super) fn axes(conditions: &[Condition]) -> Vec<String> {
    axes_of(conditions.first().map_or(&[], |first| &first.swept))
}

/// The same of the swept fields themselves.
pub(super) fn axes_of(swept: &[Swept]) -> Vec<String> {
    let full: Vec<&str> = swept.iter().map(|swept| &*swept.axis).collect();
    let short = |axis: &str| {
        let parts: Vec<&str> = axis.split('.').collect();
        let kept = match parts.as_slice() {
            ["hardware", _, "model", rest @ ..] | ["hardware" | "fault" | "storage", _, rest @ ..]
                if !rest.is_empty() =>
            {
                rest
            }
            all => all,
        };
        kept.join(" ").replace('_', " ")
    };
    let shortened: Vec<String> = full.iter().map(|axis| short(axis)).collect();
    let name = |(i, axis): (usize, &&str)| {
        let is_taken = shortened.iter().filter(|other| **other == shortened[i]).count() > 1;
        if is_taken { (*axis).to_owned() } else { shortened[i].clone() }
    };
    full.iter().enumerate().map(name).collect()
}

/// A swept value in words.
pub(super) fn value(value: &SweptValue) -> String {
    match value {
        SweptValue::Integer(value) => value.to_string(),
        SweptValue::Real(value) => Format::Plain.text(*value),
        SweptValue::Text(text) => text.clone(),
    }
}

/// A swept value as a number, if it is one.
pub(super) fn number(value: &SweptValue) -> Option<f64> {
    match value {
        SweptValue::Integer(value) => Some(*value as f64),
        SweptValue::Real(value) => Some(*value).filter(|value| value.is_finite()),
        SweptValue::Text(_) => None,
    }
}

/// Swept fields in words.
pub(super) fn swept(swept: &[Swept], axes: &[String]) -> String {
    let parts = swept.iter().zip(axes).map(|(swept, axis)| format!("{axis} = {}", value(&swept.value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A condition in words, but for the axis left out: `bit error rate = 10⁻⁶, layer = conv1`.
pub(super) fn condition(condition: &Condition, axes: &[String], without: Option<usize>) -> String {
    let kept = |i: &usize| Some(*i) != without;
    let (fields, names): (Vec<Swept>, Vec<String>) = (0..condition.swept.len().min(axes.len()))
        .filter(kept)
        .map(|i| (condition.swept[i].clone(), axes[i].clone()))
        .unzip();
    swept(&fields, &names)
}

/// A condition in words but for one axis; where there is one other, by its value alone.
pub(super) fn others(condition: &Condition, axes: &[String], without: usize) -> String {
    match condition.swept.as_slice() {
        [a, b] => value(if without == 0 { &b.value } else { &a.value }),
        _ => self::condition(condition, axes, Some(without)),
    }
}

/// A condition as a row under a heading: all axes but the last, and the last. The only condition has no heading.
pub(super) fn row(condition: &Condition, axes: &[String]) -> (String, String) {
    match (condition.swept.last(), axes.last()) {
        (Some(last), Some(axis)) => {
            let group = self::condition(condition, axes, Some(axes.len() - 1));
            (group, format!("{axis} = {}", value(&last.value)))
        }
        _ => (String::new(), "all draws".to_owned()),
    }
}
