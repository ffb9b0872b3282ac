//! Estimates: a point and an interval, with what they rest on.
//!
//! Pure functions on plain numbers; `docs/statistics.md` lists every formula with its source, assumptions and measured
//! coverage.
//!
//! - a mean over draws: [`t_interval`], [`bca_interval`], [`quantiles()`], and strata recombined ([`stratified_mean`],
//!   [`stratified_fraction`]);
//! - a share: [`Proportion`], [`yield_at_least`], [`stratified_share`], and failures in time ([`fit_total`]);
//! - two means: [`paired()`], [`unpaired`], and many such tests at once ([`holm()`]);
//! - how many: [`sample_size()`] before a campaign, [`StoppingRule`] during one, and of how many images ([`Pilot`]).

mod beta;
mod bootstrap;
mod error;
mod estimate;
mod fit;
mod holm;
mod hypergeometric;
mod looks;
mod normal;
mod paired;
mod proportion;
mod quantiles;
mod ratio;
mod recombine;
mod sample_size;
mod sequential;
mod strata;
mod student;
mod two_stage;
mod wilcoxon;
mod yields;

pub use bootstrap::{RESAMPLES, bca_interval};
pub use error::StatisticsError;
pub use estimate::{Estimate, t_interval};
pub use fit::{BITS_PER_MEGABIT, FitEstimate, FitPart, fit_total};
pub use holm::holm;
pub use looks::Looks;
pub use paired::{MeanDifference, PairedComparison, known_difference, paired, unpaired};
pub use proportion::Proportion;
pub use quantiles::quantiles;
pub use ratio::{Ratio, ratio_of_means};
pub use recombine::{IntervalEstimate, fraction_interval, stratified_fraction, stratified_share};
pub use sample_size::{margin, normal_quantile, sample_size, table_quantile, unrounded_sample_size};
pub use sequential::{Decision, Guard, StoppingRule};
pub use strata::{StratifiedMean, Stratum, stratified_mean};
pub use two_stage::{ByMargin, ImageChoice, LEAST_IMAGES, Pilot, SubsampledDraw, VarianceComponents};
pub use wilcoxon::{NullDistribution, SignedRank};
pub use yields::yield_at_least;
