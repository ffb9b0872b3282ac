//! Populations of chips whose mean accuracy is known, for simulating coverage.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt};

/// Where accuracies come from.
#[derive(Debug, Clone, Copy)]
pub enum Population {
    /// Normal, mean 0.9, standard deviation 0.02.
    Normal,
    /// 1 − U³ of a uniform U: mean ¾, a long tail downwards.
    Skewed,
    /// 1 − E/10 of an exponential E, cut at 0: mean 0.9 (+ e⁻¹⁰/10), a longer tail.
    Exponential,
    /// A share of chips is ruined (0.1), the others have 0.9 exactly.
    TwoValues {
        /// The share of ruined chips.
        ruined: f64,
    },
    /// A share of chips is ruined (0.1), the others lie in 0.9 ± 0.01, uniformly.
    Mixture {
        /// The share of ruined chips.
        ruined: f64,
    },
}

impl Population {
    /// One chip's accuracy.
    pub fn draw(self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Normal => 0.9 + 0.02 * normal(rng),
            Self::Skewed => 1.0 - rng.random::<f64>().powi(3),
            Self::Exponential => (1.0 + (1.0 - rng.random::<f64>()).ln() / 10.0).max(0.0),
            Self::Mixture { ruined } | Self::TwoValues { ruined } if rng.random_bool(ruined) => 0.1,
            Self::TwoValues { .. } => 0.9,
            Self::Mixture { .. } => 0.89 + 0.02 * rng.random::<f64>(),
        }
    }

    /// The mean accuracy.
    pub fn mean(self) -> f64 {
        match self {
            Self::Normal => 0.9,
            Self::Skewed => 0.75,
            Self::Exponential => 0.9 + (-10f64).exp() / 10.0,
            Self::Mixture { ruined } | Self::TwoValues { ruined } => 0.9 - 0.8 * ruined,
        }
    }
}

/// Normal draws by the method of Box and Muller (1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Whether the interval holds the truth, but for rounding.
pub fn covers(interval: (f64, f64), truth: f64) -> bool {
    interval.0 <= truth + 1e-12 && truth <= interval.1 + 1e-12
}

/// The share of repetitions that `covered` says cover, printed; it must lie in `expected`, give or take three standard errors.
pub fn assert_coverage(
    name: &str,
    repetitions: u64,
    expected: RangeInclusive<f64>,
    mut covered: impl FnMut(u64) -> bool,
) {
    let count = (0..repetitions).filter(|&repetition| covered(repetition)).count();
    let share = count as f64 / repetitions as f64;
    let slack = |bound: &f64| 3.0 * (bound * (1.0 - bound) / repetitions as f64).sqrt();
    println!("{name}: covered {share:.4} of {repetitions}");
    let range = expected.start() - slack(expected.start())..=expected.end() + slack(expected.end());
    assert!(range.contains(&share), "{name}: {share}, expected {range:?}");
}
