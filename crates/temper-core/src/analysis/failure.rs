//! What counts as a failure, and which faults are upsets of bits.

use serde::Serialize;

use super::error::AnalysisError;
use crate::campaign::CampaignSpec;
use crate::fault::{ErrorModel, Shape};

/// What counts as a failure of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// An inference with another top class, all logits finite (`sdc`).
    Sdc,
    /// A fault under which any image has another top class or an output that is not finite.
    Critical,
    /// An inference with a NaN or an infinity among the logits (`due`).
    Due,
    /// A fault that costs more accuracy than a limit.
    AccuracyDrop,
}

/// Fields that make of a bit flip something else than the upset of one bit.
const OTHER_THAN_ONE_BIT: [&str; 4] = ["model", "shape", "burst_words", "burst_bits"];

/// Nothing if every site is one bit that flips: only then is the number of sites that of bits exposed.
pub(super) fn check_single_bits(spec: &CampaignSpec) -> Result<(), AnalysisError> {
    let not_bits = |found: &str| Err(AnalysisError::NotBits { found: found.to_owned() });
    for (axis, _) in &spec.sweep.axes {
        if OTHER_THAN_ONE_BIT.contains(&axis.rsplit('.').next().unwrap_or(axis)) {
            return not_bits(&format!("swept over {axis}"));
        }
    }
    for fault in &spec.faults {
        match fault.model {
            Some(ErrorModel::BitFlip) => {}
            Some(model) => return not_bits(model.name()),
            None => return not_bits("listed in a file"),
        }
        let single = fault.shape.unwrap_or_default() == Shape::Value
            && fault.burst_words.is_none()
            && fault.burst_bits.unwrap_or(1) == 1;
        if !single {
            return not_bits("flips of several bits at once");
        }
    }
    Ok(())
}
