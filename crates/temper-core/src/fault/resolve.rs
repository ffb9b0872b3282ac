//! From a specification to the sites it means in one network's memory.

use super::effect::Effect;
use super::error::{FaultError, field};
use super::error_model::{ErrorModel, RelativeTo};
use super::layout::Layout;
use super::spec::{Amount, FaultSpec, Lifetime};
use crate::memory::{Departure, Memory, Part, StoredTensor, TensorId};
use crate::number::NumberFormat;

/// A fault resolved against a memory: every place it may strike.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) part: Part,
    pub(super) effect: Effect,
    pub(super) amount: Amount,
    pub(super) lifetime: Lifetime,
    /// Whether the sites say all there is to say.
    enumerable: bool,
    /// The tensors that may be struck.
    pub(super) spans: Vec<Span>,
    units: u64,
    sites: u64,
}

/// The part of a fault that lies in one tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) tensor: TensorId,
    /// For each way to strike a unit's bits, the bits struck; one meaningless entry for models of values.
    pub(super) masks: Vec<u64>,
    pub(super) units_before: u64,
    pub(super) sites_before: u64,
    /// What additive noise is measured in.
    pub(super) unit_of_noise: f64,
    pub(super) layout: Layout,
}

/// How many sites of a fault there will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// As the specification says.
    Specified,
    /// One site a trial, chosen by the plan; the specification may leave the amount out.
    One,
}

impl FaultSpec {
    /// The error model.
    ///
    /// # Errors
    /// When there is none.
    pub fn error_model(&self) -> Result<ErrorModel, FaultError> {
        let names = || ErrorModel::ALL.map(ErrorModel::name).join(", ");
        self.model.ok_or_else(|| FaultError::Field {
            field: "model",
            reason: format!("expected one of {}; found none", names()),
        })
    }

    /// This fault in a memory: which values and bits it may strike, and how many of them.
    ///
    /// # Errors
    /// When a selector matches nothing, a bit does not exist, a number is missing, or the amount is absent, doubled or impossible.
    pub fn resolve(&self, memory: &Memory, number: Number) -> Result<Fault, FaultError> {
        let model = self.error_model()?;
        let effect = self.effect(model)?;
        let amount = match number {
            Number::Specified => self.amount(model)?,
            Number::One => self.one(model)?,
        };
        let tensors = memory.select(self.target, &self.layers, self.place)?;
        let mut fault = Fault {
            part: self.target.part,
            effect,
            amount,
            lifetime: self.lifetime.unwrap_or_default(),
            enumerable: model.is_enumerable(),
            spans: Vec::with_capacity(tensors.len()),
            units: 0,
            sites: 0,
        };
        for id in tensors {
            let span = self.span(memory, id, model, &fault)?;
            fault.units += span.layout.units as u64;
            fault.sites += span.layout.units as u64 * span.masks.len() as u64 * effect.polarities();
            // A tensor too small for a burst has no unit.
            if span.layout.units > 0 {
                fault.spans.push(span);
            }
        }
        if let (Some(burst), 0) = (self.burst_words, fault.units) {
            return field("burst_words", format!("no tensor chosen holds {burst} values in a row"));
        }
        match fault.amount {
            Amount::Count(count) if count > fault.sites => {
                Err(FaultError::Count { count, sites: fault.sites })
            }
            _ => Ok(fault),
        }
    }

    fn span(
        &self,
        memory: &Memory,
        id: TensorId,
        model: ErrorModel,
        before: &Fault,
    ) -> Result<Span, FaultError> {
        let tensor = memory.tensor(id);
        if let Some(wanted) = self.format.filter(|format| *format != tensor.format) {
            let layer = tensor.layer.clone();
            return Err(FaultError::Format { layer, target: self.target, stored: tensor.format, wanted });
        }
        let word = self.word_format(tensor)?;
        Ok(Span {
            tensor: id,
            masks: self.masks(model, word)?,
            units_before: before.units,
            sites_before: before.sites,
            unit_of_noise: self.unit_of_noise(memory, id)?,
            layout: self.layout(tensor)?,
        })
    }

    /// The format of the words struck in a tensor.
    pub(super) fn word_format(&self, tensor: &StoredTensor) -> Result<NumberFormat, FaultError> {
        tensor.word_format(self.target.part).ok_or_else(|| FaultError::NoMetadata {
            layer: tensor.layer.clone(),
            target: self.target,
            format: tensor.format,
        })
    }

    fn unit_of_noise(&self, memory: &Memory, id: TensorId) -> Result<f64, FaultError> {
        let relative_to = self.relative_to.unwrap_or_default();
        if relative_to == RelativeTo::One {
            return Ok(1.0);
        }
        match memory.stored_values(id).filter(|_| self.target.part == Part::Values) {
            Some(values) if relative_to == RelativeTo::MaxAbs => {
                Ok(values.iter().fold(0.0, |most: f64, value| most.max(f64::from(value.abs()))))
            }
            Some(values) => {
                let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
                let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
                Ok((squares / values.len() as f64).sqrt())
            }
            None => {
                field("relative_to", format!("only stored parameters have one; {} has none", self.target))
            }
        }
    }
}

impl Fault {
    /// Number of places that may be struck: values, or channels, rows, columns or bursts.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Number of different sites: places times the bits (and polarities) that may be struck in each.
    pub fn sites(&self) -> u64 {
        self.sites
    }

    /// The tensors that may be struck.
    pub fn tensors(&self) -> impl Iterator<Item = TensorId> {
        self.spans.iter().map(|span| span.tensor)
    }

    /// How far it takes the words of these tensors away from what they are stored as, and which words.
    pub fn departure(&self) -> (Part, Departure) {
        (self.part, self.effect.departure())
    }

    /// The number of sites of a draw, on average.
    pub fn expected_sites(&self) -> usize {
        match self.amount {
            Amount::Count(count) => count as usize,
            Amount::BitErrorRate(rate) => {
                (rate * self.sites as f64 / self.effect.polarities() as f64) as usize
            }
            Amount::UnitFaultRate(rate) => (rate * self.units as f64) as usize,
        }
    }

    /// How long it lasts.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether its sites say all there is to say, so that they can be counted and gone through.
    pub fn is_enumerable(&self) -> bool {
        self.enumerable
    }
}
