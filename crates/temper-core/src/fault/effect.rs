//! An error model with its numbers, and the damage that a draw makes of it.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::error::{FaultError, field};
use super::error_model::{Damage, ErrorModel, Mode};
use super::spec::FaultSpec;
use crate::memory::Departure;

/// An error model with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Flip,
    StuckAt0,
    StuckAt1,
    StuckAt,
    RandomWord,
    Set(f32),
    Negate,
    RandomValue { low: f64, high: f64 },
    Noise { noise: Noise, mode: Mode },
    Lognormal { mean: f64, sigma: f64 },
}

/// A distribution of noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Noise {
    Gaussian { mean: f64, sigma: f64 },
    Uniform { low: f64, high: f64 },
}

impl Noise {
    fn sample(self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Gaussian { mean, sigma } => mean + sigma * normal(rng),
            Self::Uniform { low, high } => uniform(low, high, rng),
        }
    }
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn uniform(low: f64, high: f64, rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

impl Effect {
    /// How far it takes values away from the codes they are stored as.
    pub(super) fn departure(self) -> Departure {
        match self {
            Self::Flip | Self::StuckAt0 | Self::StuckAt1 | Self::StuckAt | Self::RandomWord => {
                Departure::Word
            }
            Self::Set(value) => Damage::Set(value).departure(),
            Self::Negate => Departure::Negative,
            Self::RandomValue { .. } | Self::Noise { .. } | Self::Lognormal { .. } => Departure::Value,
        }
    }

    /// Ways in which one bit or value can be struck that count as different sites.
    pub(super) const fn polarities(self) -> u64 {
        if matches!(self, Self::StuckAt) { 2 } else { 1 }
    }

    /// The damage at the bits of `mask` with the given polarity; whatever else is random is drawn here. `unit` is that of additive noise.
    pub(super) fn damage(self, mask: u64, polarity: u64, unit: f64, rng: &mut impl Rng) -> Damage {
        match self {
            Self::Flip => Damage::Flip(mask),
            Self::StuckAt if polarity == 0 => Damage::StuckAt0(mask),
            Self::StuckAt0 => Damage::StuckAt0(mask),
            Self::StuckAt1 | Self::StuckAt => Damage::StuckAt1(mask),
            Self::RandomWord => Damage::Flip(rng.next_u64() & mask),
            Self::Set(value) => Damage::Set(value),
            Self::Negate => Damage::Negate,
            Self::RandomValue { low, high } => Damage::Set(uniform(low, high, rng) as f32),
            Self::Noise { noise, mode: Mode::Additive } => Damage::Add((noise.sample(rng) * unit) as f32),
            Self::Noise { noise, mode: Mode::Multiplicative } => {
                Damage::Scale((1.0 + noise.sample(rng)) as f32)
            }
            // One library's exponential on every machine, so that draws are the same everywhere.
            Self::Lognormal { mean, sigma } => Damage::Scale(libm::exp(mean + sigma * normal(rng)) as f32),
        }
    }
}

impl FaultSpec {
    /// The error model with its numbers; numbers that it does not use are errors.
    pub(super) fn effect(&self, model: ErrorModel) -> Result<Effect, FaultError> {
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
            ErrorModel::SetValue => Effect::Set(single("value", needed("value", self.value)?)?),
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
        if !(high - low).is_finite() {
            return field("low", format!("{low} to {high} is too wide a range"));
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

/// A number as a 32-bit float; one that is too large for it is an error, an infinity or NaN that was asked for is not.
fn single(name: &'static str, value: f64) -> Result<f32, FaultError> {
    let single = value as f32;
    if value.is_finite() && single.is_infinite() {
        return field(name, format!("{value:e} is too large for a 32-bit float"));
    }
    Ok(single)
}

fn finite(name: &'static str, value: Option<f64>) -> Result<f64, FaultError> {
    let value = needed(name, value)?;
    if value.is_finite() { Ok(value) } else { field(name, format!("{value} is not finite")) }
}
