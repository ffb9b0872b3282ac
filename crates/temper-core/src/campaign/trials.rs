//! How many draws a condition has.

use serde::{Deserialize, Serialize};

use super::images::{DrawImages, PILOT_IMAGES};
use super::spec::SpecError;
use crate::statistics::{Guard, Looks, StatisticsError, StoppingRule, sample_size, table_quantile};

/// `[trials]`: exactly one of `count`, `precision`, `statistical` and `exhaustive`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialsSpec {
    /// So many draws for each condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Draws until the accuracy is known well enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Single faults, sampled without replacement: as many as a margin of error asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistical: Option<Statistical>,
    /// Every single fault there is, if `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhaustive: Option<bool>,
    /// How many images each draw of `count` or `precision` runs. If absent, all for `count`, and for `precision` as many as give it for the
    /// least cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<DrawImages>,
}

/// Draws until the half-width of the interval of the mean accuracy is small enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// The half-width to reach, as a difference of accuracies.
    pub half_width: f64,
    /// Confidence level of the interval.
    #[serde(default = "usual_confidence")]
    pub confidence: f64,
    /// Draws before the first look.
    pub min: u64,
    /// Draws at which it ends in any case.
    pub max: u64,
    /// What is made of outcomes that have not been drawn.
    #[serde(default = "usual_guard")]
    pub guard: Guard,
}

impl Precision {
    /// The rule that says when draws are enough.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn rule(&self) -> Result<StoppingRule, StatisticsError> {
        let looks = Looks::new(self.min as usize, self.max as usize)?;
        StoppingRule::new(looks, self.half_width, self.confidence, self.guard)
    }
}

const fn usual_guard() -> Guard {
    Guard::UnseenOutcomes
}

/// A sample of a condition's faults, each condition being a stratum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistical {
    /// Margin of error of a proportion.
    pub margin: f64,
    /// Confidence level of the margin.
    pub confidence: f64,
    /// The proportion expected; 0.5 is the safe choice.
    #[serde(default = "safe_proportion")]
    pub proportion: f64,
}

const fn usual_confidence() -> f64 {
    0.95
}

const fn safe_proportion() -> f64 {
    0.5
}

/// How the sites of a trial are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sampling {
    /// Drawn as the faults say, draws being independent of each other.
    Independent,
    /// One site a trial, no site twice.
    Distinct,
    /// One site a trial, all of them in order.
    Exhaustive,
}

impl TrialsSpec {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let given = [
            ("count", self.count.is_some()),
            ("precision", self.precision.is_some()),
            ("statistical", self.statistical.is_some()),
            ("exhaustive", self.exhaustive.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        if given.len() != 1 {
            let found = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            let reason = format!(
                "expected exactly one of count, precision, statistical and exhaustive, found {found}"
            );
            return Err(SpecError::value(&["trials"], reason));
        }
        let error = |path: &[&str], reason: String| Err(SpecError::value(path, reason));
        if self.count == Some(0) {
            return error(&["trials", "count"], "expected at least 1, found 0".to_owned());
        }
        if self.exhaustive == Some(false) {
            return error(
                &["trials", "exhaustive"],
                "expected true; for anything else give count".to_owned(),
            );
        }
        self.check_images()?;
        let open = |value: f64| value > 0.0 && value < 1.0;
        if let Some(precision) = self.precision {
            precision
                .rule()
                .map_err(|source| SpecError::value(&["trials", "precision"], source.to_string()))?;
        }
        if let Some(statistical) = self.statistical {
            for (field, value) in [
                ("margin", statistical.margin),
                ("confidence", statistical.confidence),
                ("proportion", statistical.proportion),
            ] {
                if !open(value) {
                    return error(
                        &["trials", "statistical", field],
                        format!("expected between 0 and 1, found {value}"),
                    );
                }
            }
            statistical
                .sample_size(None)
                .map_err(|source| SpecError::value(&["trials", "statistical"], source.to_string()))?;
        }
        Ok(())
    }

    /// Nothing if `images` goes with the rest.
    fn check_images(&self) -> Result<(), SpecError> {
        let reason = match self.images {
            Some(DrawImages::Count(images @ 0..=3)) => format!("expected at least 4, found {images}"),
            Some(DrawImages::Auto) if self.precision.is_none() => {
                "\"auto\" chooses the images for a precision: give one, or a number of images".to_owned()
            }
            Some(_) if self.statistical.is_some() || self.exhaustive.is_some() => {
                "statistical and exhaustive campaigns look for any image that changes, so they run all of them; leave images out"
                    .to_owned()
            }
            _ => return Ok(()),
        };
        Err(SpecError::value(&["trials", "images"], reason))
    }

    /// How many of all images each draw runs; of few images all.
    ///
    /// # Errors
    /// When more are wanted than there are.
    pub(super) fn images_of(&self, all: u64) -> Result<DrawImages, SpecError> {
        let usual = if self.precision.is_some() { DrawImages::Auto } else { DrawImages::All };
        match self.images.unwrap_or(usual) {
            DrawImages::Count(images) if images > all => {
                let reason = format!("expected at most {all}, as many as there are; found {images}");
                Err(SpecError::value(&["trials", "images"], reason))
            }
            DrawImages::Count(images) if images == all => Ok(DrawImages::All),
            DrawImages::Auto if all <= PILOT_IMAGES => Ok(DrawImages::All),
            images => Ok(images),
        }
    }

    pub(super) fn sampling(&self) -> Sampling {
        match (self.statistical, self.exhaustive) {
            (Some(_), _) => Sampling::Distinct,
            (_, Some(_)) => Sampling::Exhaustive,
            _ => Sampling::Independent,
        }
    }

    /// Draws of a condition with so many different sites; the most there can be, where draws stop by precision.
    pub(super) fn draws(&self, sites: u64) -> u64 {
        if let Some(count) = self.count {
            return count;
        }
        if let Some(precision) = self.precision {
            return precision.max;
        }
        // What was checked has a sample size.
        let size = |statistical: Statistical| statistical.sample_size(Some(sites)).ok();
        self.statistical.and_then(size).unwrap_or(sites)
    }
}

impl Statistical {
    /// How many faults of a population it asks for.
    fn sample_size(&self, population: Option<u64>) -> Result<u64, StatisticsError> {
        let Self { margin, confidence, proportion } = *self;
        let t = table_quantile(confidence).ok_or(StatisticsError::Confidence { found: confidence })?;
        sample_size(population, margin, t, proportion)
    }
}
