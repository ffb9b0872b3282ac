//! How many sites a fault has.

use super::error::{FaultError, field};
use super::error_model::ErrorModel;
use super::spec::{Amount, FaultSpec, Lifetime, Shape};

impl FaultSpec {
    pub(super) fn amount(&self, model: ErrorModel) -> Result<Amount, FaultError> {
        let rate = |field, value| {
            if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(FaultError::Rate { field, value }) }
        };
        let shaped = self.shape.unwrap_or_default() != Shape::Value || self.burst_words.is_some();
        match (self.count, self.bit_error_rate, self.value_fault_rate, self.shape_fault_rate) {
            (Some(count), None, None, None) => Ok(Amount::Count(count)),
            (None, Some(_), None, None) if !model.strikes_bits() => field(
                "bit_error_rate",
                format!("{} strikes whole values, not bits; use value_fault_rate or count", model.name()),
            ),
            (None, Some(_), None, None) if shaped || self.burst_bits.is_some() => {
                field("bit_error_rate", "a burst or shape is not one bit; use count or shape_fault_rate")
            }
            (None, Some(value), None, None) => Ok(Amount::BitErrorRate(rate("bit_error_rate", value)?)),
            (None, None, Some(_), None) if shaped => {
                field("value_fault_rate", "a burst or shape is not one value; use count or shape_fault_rate")
            }
            (None, None, Some(value), None) => Ok(Amount::UnitFaultRate(rate("value_fault_rate", value)?)),
            (None, None, None, Some(_)) if !shaped => {
                field("shape_fault_rate", "there is no shape or burst_words; use value_fault_rate or count")
            }
            (None, None, None, Some(value)) => Ok(Amount::UnitFaultRate(rate("shape_fault_rate", value)?)),
            _ => Err(FaultError::Amount { found: self.given_amounts() }),
        }
    }

    /// For plans that choose one site a trial.
    pub(super) fn one(&self, model: ErrorModel) -> Result<Amount, FaultError> {
        if !model.is_enumerable() {
            return field(
                "model",
                format!("the faults of {} cannot be counted; give [trials] count", model.name()),
            );
        }
        if self.lifetime == Some(Lifetime::Transient) {
            return field(
                "lifetime",
                "a statistical or exhaustive campaign strikes every image at the site of its trial; expected permanent",
            );
        }
        match (self.count, self.given_amounts().as_str()) {
            (None, "none") | (Some(1), "count") => Ok(Amount::Count(1)),
            (_, found) => field(
                "count",
                format!("a statistical or exhaustive campaign strikes one site a trial; leave {found} out"),
            ),
        }
    }

    fn given_amounts(&self) -> String {
        let given = [
            ("count", self.count.is_some()),
            ("bit_error_rate", self.bit_error_rate.is_some()),
            ("value_fault_rate", self.value_fault_rate.is_some()),
            ("shape_fault_rate", self.shape_fault_rate.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.is_empty() { "none".to_owned() } else { given.join(" and ") }
    }
}
