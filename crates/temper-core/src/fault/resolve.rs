//! From a specification to the sites it means in one network's memory.

use thiserror::Error;

use super::error_model::{Effect, ErrorModel, Mode, Noise, RelativeTo};
use super::spec::{Amount, BitSelection, FaultSpec, Lifetime, Shape};
use crate::memory::{Memory, MemoryError, Part, StoredTensor, Target, TensorId};
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
    layout: Layout,
}

/// The values that the units of a tensor hold: unit `u` begins at `(u / inner) · outer + u % inner · pitch`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layout {
    units: usize,
    inner: usize,
    outer: usize,
    pitch: usize,
    step: usize,
    count: usize,
}

impl Span {
    /// First value, distance and number of the values of a unit.
    pub(super) fn members(&self, unit: usize) -> (usize, usize, usize) {
        let Layout { inner, outer, pitch, step, count, .. } = self.layout;
        (unit / inner * outer + unit % inner * pitch, step, count)
    }
}

/// Why a specification does not fit.
#[derive(Debug, Error, PartialEq)]
pub enum FaultError {
    /// What is struck cannot be chosen.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Scales or zero points of tensors that have none.
    #[error(
        "target: {layer} stores its {target} in {format}, which has none; choose a quantised format in [[storage]]"
    )]
    NoMetadata {
        /// A layer that was selected.
        layer: String,
        /// What was to be struck.
        target: Target,
        /// The format it is stored in.
        format: NumberFormat,
    },
    /// Another format than that in which the target is stored.
    #[error(
        "format: {layer} stores its {target} in {stored}, not in {wanted}; leave format out, or change what says so"
    )]
    Format {
        /// A layer that was selected.
        layer: String,
        /// What was to be struck.
        target: Target,
        /// The format it is stored in.
        stored: NumberFormat,
        /// The format the fault names.
        wanted: NumberFormat,
    },
    /// A field that is absent and needed, or present and meaningless.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// Not exactly one way to say how many.
    #[error(
        "expected exactly one of count, bit_error_rate, value_fault_rate and shape_fault_rate, here or in [sweep]; found {found}"
    )]
    Amount {
        /// What was given.
        found: String,
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

impl FaultError {
    /// The field of the specification that is wrong, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Memory(error) => Some(error.field()),
            Self::NoMetadata { .. } => Some("target"),
            Self::Format { .. } => Some("format"),
            Self::Field { field, .. } | Self::Rate { field, .. } => Some(field),
            Self::Count { .. } => Some("count"),
            Self::Amount { .. } => None,
        }
    }
}

pub(super) fn field<T>(field: &'static str, reason: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError::Field { field, reason: reason.into() })
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
        let Some(word) = tensor.word_format(self.target.part) else {
            let layer = tensor.layer.clone();
            return Err(FaultError::NoMetadata { layer, target: self.target, format: tensor.format });
        };
        Ok(Span {
            tensor: id,
            masks: self.masks(model, word)?,
            units_before: before.units,
            sites_before: before.sites,
            unit_of_noise: self.unit_of_noise(memory, id)?,
            layout: self.layout(tensor)?,
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

    fn layout(&self, tensor: &StoredTensor) -> Result<Layout, FaultError> {
        let len = tensor.words(self.target.part);
        let shape = self.shape.unwrap_or_default();
        if shape != Shape::Value && self.target.part != Part::Values {
            return field("shape", format!("{} has no channels, rows and columns", self.target));
        }
        let plain = |units, count| Layout { units, inner: 1, outer: 1, pitch: 0, step: 1, count };
        if let Some(burst) = self.burst_words {
            if shape != Shape::Value {
                return field("burst_words", "a burst has no other shape; leave shape out");
            }
            if burst == 0 {
                return field("burst_words", "expected at least 1, found 0");
            }
            return Ok(plain((len + 1).saturating_sub(burst), burst));
        }
        let [channels, height, width] = tensor.extents();
        // A parameter is a matrix whose rows are its output channels.
        let is_row = shape == Shape::Channel && tensor.parameter().is_some();
        let shape = if is_row { Shape::Row } else { shape };
        Ok(match shape {
            Shape::Value => plain(len, 1),
            Shape::Channel => Layout { outer: height * width, ..plain(channels, height * width) },
            Shape::Row => Layout { outer: width, ..plain(channels * height, width) },
            Shape::Column => Layout {
                units: channels * width,
                inner: width,
                outer: height * width,
                pitch: 1,
                step: width,
                count: height,
            },
        })
    }

    /// The struck bits of every way to strike a word of `format`.
    fn masks(&self, model: ErrorModel, format: NumberFormat) -> Result<Vec<u64>, FaultError> {
        let width = format.bit_width();
        let all = u64::MAX >> (64 - width);
        if !model.strikes_bits() {
            return match (&self.bits, self.burst_bits) {
                (None, None) => Ok(vec![all]),
                (Some(_), _) => {
                    field("bits", format!("{} strikes whole values; leave bits out", model.name()))
                }
                (None, Some(_)) => {
                    field("burst_bits", format!("{} strikes whole values; leave it out", model.name()))
                }
            };
        }
        let burst = self.burst_bits.unwrap_or(1);
        if burst == 0 || burst > width {
            return field("burst_bits", format!("expected 1 to {width} for {format}, found {burst}"));
        }
        let burst_mask = u64::MAX >> (64 - burst);
        // A burst lies wholly in its word.
        let masks: Vec<u64> = self
            .chosen_bits(format)?
            .into_iter()
            .filter(|bit| bit + burst <= width)
            .map(|bit| burst_mask << bit)
            .collect();
        if masks.is_empty() {
            return field("bits", format!("no burst of {burst} bits begins at any of them in {format}"));
        }
        Ok(masks)
    }

    /// The bits of a tensor's words that may be struck.
    ///
    /// # Errors
    /// When a bit does not exist, or the error model strikes whole values.
    pub fn bits_in(&self, tensor: &StoredTensor) -> Result<Vec<u32>, FaultError> {
        let model = self.error_model()?;
        if !model.strikes_bits() {
            return field("bits", format!("{} strikes whole values; leave bits out", model.name()));
        }
        tensor.word_format(self.target.part).map_or_else(|| Ok(Vec::new()), |format| self.chosen_bits(format))
    }

    fn chosen_bits(&self, format: NumberFormat) -> Result<Vec<u32>, FaultError> {
        let width = format.bit_width();
        let exists = |bit: u32| {
            if bit < width {
                return Ok(());
            }
            field("bits", format!("bit {bit} does not exist in {format} (0 to {})", width - 1))
        };
        match &self.bits {
            None | Some(BitSelection::All(_)) => Ok((0..width).collect()),
            Some(BitSelection::Field(name)) => match format.field(*name) {
                Some(range) => Ok(range.collect()),
                None => field("bits", format!("{format} has no {}", name.name())),
            },
            Some(BitSelection::Range(range)) => {
                if range.from > range.to {
                    return field("bits", format!("the range from {} to {} is empty", range.from, range.to));
                }
                exists(range.to)?;
                Ok((range.from..=range.to).collect())
            }
            Some(BitSelection::List(bits)) => {
                let mut sorted = bits.clone();
                sorted.sort_unstable();
                sorted.dedup();
                match sorted.last() {
                    None => field("bits", "the list is empty"),
                    Some(_) if sorted.len() != bits.len() => {
                        field("bits", format!("{bits:?} names a bit twice"))
                    }
                    Some(last) => exists(*last).map(|()| sorted),
                }
            }
        }
    }

    fn amount(&self, model: ErrorModel) -> Result<Amount, FaultError> {
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
    fn one(&self, model: ErrorModel) -> Result<Amount, FaultError> {
        if !model.is_enumerable() {
            return field(
                "model",
                format!("the faults of {} cannot be counted; give [trials] count", model.name()),
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

    /// The error model with its numbers; numbers that it does not use are errors.
    fn effect(&self, model: ErrorModel) -> Result<Effect, FaultError> {
        let mode = self.mode.unwrap_or_default();
        let uses: &[&str] = match model {
            ErrorModel::SetValue => &["value"],
            ErrorModel::RandomValue => &["low", "high"],
            ErrorModel::Gaussian if mode == Mode::Additive => &["mean", "sigma", "mode", "relative_to"],
            ErrorModel::Gaussian => &["mean", "sigma", "mode"],
            ErrorModel::Lognormal => &["mean", "sigma"],
            ErrorModel::Uniform if mode == Mode::Additive => &["low", "high", "mode", "relative_to"],
            ErrorModel::Uniform => &["low", "high", "mode"],
            _ => &[],
        };
        let given = [
            ("value", self.value.is_some()),
            ("low", self.low.is_some()),
            ("high", self.high.is_some()),
            ("mean", self.mean.is_some()),
            ("sigma", self.sigma.is_some()),
            ("mode", self.mode.is_some()),
            ("relative_to", self.relative_to.is_some()),
        ];
        if let Some((name, _)) = given.iter().find(|(name, given)| *given && !uses.contains(name)) {
            let what = if uses.is_empty() { "no such number".to_owned() } else { uses.join(", ") };
            return field(name, format!("{} takes {what}", model.name()));
        }
        Ok(match model {
            ErrorModel::BitFlip => Effect::Flip,
            ErrorModel::StuckAt0 => Effect::StuckAt0,
            ErrorModel::StuckAt1 => Effect::StuckAt1,
            ErrorModel::StuckAt => Effect::StuckAt,
            ErrorModel::RandomWord => Effect::RandomWord,
            ErrorModel::Zeroing => Effect::Set(0.0),
            // Any number may be set, infinities and NaN too.
            ErrorModel::SetValue => Effect::Set(needed("value", self.value)? as f32),
            ErrorModel::SignReversal => Effect::Negate,
            ErrorModel::RandomValue => {
                let (low, high) = self.range()?;
                Effect::RandomValue { low, high }
            }
            ErrorModel::Gaussian => {
                let (mean, sigma) = self.moments()?;
                Effect::Noise { noise: Noise::Gaussian { mean, sigma }, mode }
            }
            ErrorModel::Lognormal => {
                let (mean, sigma) = self.moments()?;
                Effect::Lognormal { mean, sigma }
            }
            ErrorModel::Uniform => {
                let (low, high) = self.range()?;
                Effect::Noise { noise: Noise::Uniform { low, high }, mode }
            }
        })
    }

    fn range(&self) -> Result<(f64, f64), FaultError> {
        let (low, high) = (finite("low", self.low)?, finite("high", self.high)?);
        if low > high {
            return field("low", format!("{low} is greater than high, {high}"));
        }
        Ok((low, high))
    }

    fn moments(&self) -> Result<(f64, f64), FaultError> {
        let (mean, sigma) = (finite("mean", self.mean.or(Some(0.0)))?, finite("sigma", self.sigma)?);
        if sigma < 0.0 {
            return field("sigma", format!("{sigma} is negative; expected a standard deviation"));
        }
        Ok((mean, sigma))
    }
}

fn needed(name: &'static str, value: Option<f64>) -> Result<f64, FaultError> {
    match value {
        Some(value) => Ok(value),
        None => field(name, "expected a number, here or in [sweep]; found none"),
    }
}

fn finite(name: &'static str, value: Option<f64>) -> Result<f64, FaultError> {
    let value = needed(name, value)?;
    if value.is_finite() { Ok(value) } else { field(name, format!("{value} is not finite")) }
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

    /// The number of sites of a draw, on average.
    pub fn expected_sites(&self) -> usize {
        match self.amount {
            Amount::Count(count) => count as usize,
            Amount::BitErrorRate(rate) => (rate * self.sites as f64) as usize,
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
