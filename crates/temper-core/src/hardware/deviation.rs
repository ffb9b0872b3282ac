//! How far components lie from their nominal values.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A factor drawn for every component of a kind: normal, and perhaps limited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The mean, in parts of the nominal value: 1 for a component that is right on average.
    #[serde(default = "nominal")]
    pub mean: f64,
    /// The standard deviation, in parts of the nominal value; 0: all components are alike.
    pub sigma: f64,
    /// The smallest and the largest factor; what is drawn beyond becomes one of them. No limits, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<[f64; 2]>,
}

const fn nominal() -> f64 {
    1.0
}

/// A deviation that none can be drawn from.
#[derive(Debug, Error, PartialEq)]
pub enum DeviationError {
    /// A mean or a sigma that is no number, or a sigma below zero.
    #[error("mean {mean} and sigma {sigma}; expected finite numbers, sigma at least 0")]
    Moments {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        sigma: f64,
    },
    /// Limits in the wrong order, or not numbers.
    #[error("limits {low} to {high}; expected finite numbers, the smaller one first")]
    Limits {
        /// The smallest factor.
        low: f64,
        /// The largest factor.
        high: f64,
    },
}

impl Deviation {
    /// Every component at its nominal value.
    pub const NONE: Self = Self { mean: 1.0, sigma: 0.0, limits: None };

    /// A mean of 1 and this standard deviation, without limits.
    pub const fn of(sigma: f64) -> Self {
        Self { sigma, ..Self::NONE }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// When there is nothing to draw from.
    pub fn check(&self) -> Result<(), DeviationError> {
        let Self { mean, sigma, .. } = *self;
        if !(mean.is_finite() && sigma.is_finite() && sigma >= 0.0) {
            return Err(DeviationError::Moments { mean, sigma });
        }
        match self.limits {
            Some([low, high]) if !(low.is_finite() && high.is_finite() && low <= high) => {
                Err(DeviationError::Limits { low, high })
            }
            _ => Ok(()),
        }
    }

    /// The factors of `count` components.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Vec<f32> {
        let [low, high] = self.limits.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        let one = |_| {
            let z: f64 = StandardNormal.sample(rng);
            (self.mean + self.sigma * z).clamp(low, high) as f32
        };
        (0..count).map(one).collect()
    }
}
