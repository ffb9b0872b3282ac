//! What records amount to.
//!
//! Pure functions of what a campaign is ([`CampaignInfo`](crate::campaign::CampaignInfo)) and its records; nothing here runs a
//! network. `docs/analysis.md` explains every figure, `docs/statistics.md` its formula.
//!
//! - [`samples`] sorts records by condition and says what a draw is: a chip or a single fault ([`Unit`]). All else rests on it;
//! - [`summarise`]: each condition in figures; [`yield_of`]: the share of chips that are good enough;
//! - [`vulnerability()`]: which layers and bits matter, and failures in time;
//! - [`compare()`]: two campaigns, condition by condition;
//! - [`judge`]: whether a network keeps within limits.

mod compare;
mod condition_filter;
mod error;
mod failure;
mod gate;
mod sample;
mod summary;
mod vulnerability;
mod yields;

pub use compare::{ComparedCondition, Comparison, Difference, Pairing, Side, compare};
pub use condition_filter::ConditionFilter;
pub use error::AnalysisError;
pub use failure::Failure;
pub use gate::{Check, GateOptions, Limits, Quantity, Verdict, judge};
pub use sample::{Sample, Unit, samples};
pub use summary::{
    AccuracyQuantiles, ConditionSummary, DrawEstimate, FaultShares, OutcomeShares, SummaryOptions, WorstDraw,
    summarise,
};
pub use vulnerability::{Vulnerability, VulnerabilityOptions, VulnerabilityRow, vulnerability};
pub use yields::{AccuracyFloor, yield_of};
