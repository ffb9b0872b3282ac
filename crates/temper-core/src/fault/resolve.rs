//! From a specification to the sites it means in one network.

use globset::Glob;
use thiserror::Error;

use super::error_model::ErrorModel;
use super::spec::{Amount, BitSelection, FaultSpec, Target};
use crate::execution::ParameterId;
use crate::network::{Network, ParameterKind};
use crate::number::NumberFormat;

/// A fault resolved against a network: every value and bit it may strike.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(super) format: NumberFormat,
    pub(super) model: ErrorModel,
    /// The bits that may be struck, ascending; one meaningless entry for models that strike whole values.
    pub(super) bits: Vec<u32>,
    pub(super) amount: Amount,
    /// The parameters that may be struck, each with the number of values in it and all before it.
    pub(super) parameters: Vec<(ParameterId, u64)>,
}

/// Why a specification does not fit.
#[derive(Debug, Error, PartialEq)]
pub enum FaultError {
    /// A selector that is not a glob.
    #[error("layers: \"{glob}\" is not a glob: {reason}")]
    Glob {
        /// What was written.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector that matches nothing.
    #[error("layers: \"{glob}\" matches no layer with a {target}; the network has: {layers}")]
    NoLayer {
        /// What was written.
        glob: String,
        /// What was to be struck.
        target: &'static str,
        /// The layers that have such a parameter.
        layers: String,
    },
    /// A list without a selector.
    #[error("layers: expected at least one glob, found an empty list")]
    NoGlob,
    /// The network has no such parameter at all.
    #[error("target: no layer of the network has a {target}")]
    NoTarget {
        /// What was to be struck.
        target: &'static str,
    },
    /// A format in which nothing is struck yet.
    #[error("format: faults in {format} are not supported yet; expected f32")]
    Format {
        /// The format.
        format: NumberFormat,
    },
    /// A bit beyond the format's width, a repeated one, or none.
    #[error("bits: {reason}")]
    Bits {
        /// What was found and expected.
        reason: String,
    },
    /// Not exactly one way to say how many.
    #[error(
        "expected exactly one of count, bit_error_rate and value_fault_rate, here or in [sweep]; found {found}"
    )]
    Amount {
        /// What was given.
        found: String,
    },
    /// A count of bits for a model that strikes values.
    #[error("bit_error_rate: {model} strikes whole values, not bits; use value_fault_rate or count")]
    RateOfBits {
        /// The model.
        model: &'static str,
    },
    /// A probability outside 0..=1.
    #[error("{field}: {value} is not a probability; expected 0 to 1")]
    Rate {
        /// Which rate.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// More faults than sites.
    #[error("count: {count} faults do not fit: there are only {sites} different sites")]
    Count {
        /// Faults wanted.
        count: u64,
        /// Sites there are.
        sites: u64,
    },
}

impl FaultSpec {
    /// This fault in a network: which values and bits it may strike, and how many of them.
    ///
    /// # Errors
    /// When a selector matches nothing, a bit does not exist, or the amount is absent, doubled or impossible.
    pub fn resolve(&self, network: &Network) -> Result<Fault, FaultError> {
        if self.format != NumberFormat::F32 {
            return Err(FaultError::Format { format: self.format });
        }
        let fault = Fault {
            format: self.format,
            model: self.model,
            bits: self.resolve_bits()?,
            amount: self.resolve_amount()?,
            parameters: self.resolve_parameters(network)?,
        };
        match fault.amount {
            Amount::Count(count) if count > fault.sites() => {
                Err(FaultError::Count { count, sites: fault.sites() })
            }
            _ => Ok(fault),
        }
    }

    fn resolve_parameters(&self, network: &Network) -> Result<Vec<(ParameterId, u64)>, FaultError> {
        let kind = match self.target {
            Target::Weight => ParameterKind::Weight,
            Target::Bias => ParameterKind::Bias,
        };
        let candidates: Vec<(ParameterId, &str, usize)> = network
            .parameters()
            .enumerate()
            .filter(|(_, (_, parameter))| parameter.kind == kind)
            .map(|(id, (_, p))| (ParameterId(id), network.node(p.node).name.as_str(), p.tensor.data().len()))
            .collect();
        let target = self.target.name();
        if candidates.is_empty() {
            return Err(FaultError::NoTarget { target });
        }
        let mut chosen = vec![false; candidates.len()];
        for glob in self.layers.globs() {
            let matcher = Glob::new(glob)
                .map_err(|error| FaultError::Glob { glob: glob.clone(), reason: error.kind().to_string() })?
                .compile_matcher();
            let mut any = false;
            for (chosen, (_, name, _)) in chosen.iter_mut().zip(&candidates) {
                let matches = matcher.is_match(name);
                *chosen |= matches;
                any |= matches;
            }
            if !any {
                let layers = candidates.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ");
                return Err(FaultError::NoLayer { glob: glob.clone(), target, layers });
            }
        }
        if !chosen.contains(&true) {
            return Err(FaultError::NoGlob);
        }
        let mut end = 0;
        let selected = candidates.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        Ok(selected
            .map(|((id, _, values), _)| {
                end += *values as u64;
                (*id, end)
            })
            .collect())
    }

    fn resolve_bits(&self) -> Result<Vec<u32>, FaultError> {
        let width = self.format.bit_width();
        let error = |reason: String| Err(FaultError::Bits { reason });
        if !self.model.strikes_bits() {
            return match self.bits {
                None => Ok(vec![0]),
                Some(_) => error(format!("{} strikes whole values; leave bits out", self.model.name())),
            };
        }
        match &self.bits {
            None | Some(BitSelection::All(_)) => Ok((0..width).collect()),
            Some(BitSelection::Field(field)) => match self.format.field(*field) {
                Some(bits) => Ok(bits.collect()),
                None => error(format!("{} has no {}; give bits by number", self.format, field.name())),
            },
            Some(BitSelection::List(bits)) => {
                let mut sorted = bits.clone();
                sorted.sort_unstable();
                sorted.dedup();
                match sorted.last() {
                    None => error("the list is empty".to_owned()),
                    Some(bit) if *bit >= width => error(format!(
                        "bit {bit} does not exist in a format of {width} bits (0 to {})",
                        width - 1
                    )),
                    Some(_) if sorted.len() != bits.len() => error(format!("{bits:?} names a bit twice")),
                    Some(_) => Ok(sorted),
                }
            }
        }
    }

    fn resolve_amount(&self) -> Result<Amount, FaultError> {
        let rate = |field, value| {
            if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(FaultError::Rate { field, value }) }
        };
        match (self.count, self.bit_error_rate, self.value_fault_rate) {
            (Some(count), None, None) => Ok(Amount::Count(count)),
            (None, Some(_), None) if !self.model.strikes_bits() => {
                Err(FaultError::RateOfBits { model: self.model.name() })
            }
            (None, Some(value), None) => Ok(Amount::BitErrorRate(rate("bit_error_rate", value)?)),
            (None, None, Some(value)) => Ok(Amount::ValueFaultRate(rate("value_fault_rate", value)?)),
            (None, None, None) => Err(FaultError::Amount { found: "none".to_owned() }),
            (count, bits, values) => {
                let given = [
                    ("count", count.is_some()),
                    ("bit_error_rate", bits.is_some()),
                    ("value_fault_rate", values.is_some()),
                ];
                let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
                Err(FaultError::Amount { found: given.join(" and ") })
            }
        }
    }
}

impl Fault {
    /// Number of values that may be struck.
    pub fn values(&self) -> u64 {
        self.parameters.last().map_or(0, |(_, end)| *end)
    }

    /// Number of different sites: values times the bits that may be struck in each.
    pub fn sites(&self) -> u64 {
        self.values() * self.bits.len() as u64
    }
}
