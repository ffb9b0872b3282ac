//! What cannot be made of a campaign's records.

use thiserror::Error;

use crate::statistics::StatisticsError;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AnalysisError {
    /// Numbers of which no statistic can be computed.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A condition without enough draws.
    #[error("{condition}: found {found} draws, expected at least {needed}; run the campaign on")]
    TooFewDraws {
        /// The condition.
        condition: String,
        /// How many draws are recorded.
        found: usize,
        /// How many there have to be.
        needed: usize,
    },
    /// An exhaustive campaign goes through its faults in order: the first of them are no sample of all.
    #[error(
        "{condition}: {found} of {sites} faults are recorded, in order, and say nothing of the others; run the campaign to its end"
    )]
    PartOfAll {
        /// The condition.
        condition: String,
        /// How many faults are recorded.
        found: usize,
        /// How many there are.
        sites: u64,
    },
    /// Draws on part of the images say what the mean is, but not how good each of them is.
    #[error(
        "{condition}: draws ran as few as {found} of {images} images, enough for their mean accuracy but not for single draws; run the campaign with [trials] images = \"all\""
    )]
    PartOfImages {
        /// The condition.
        condition: String,
        /// The fewest images of a draw.
        found: u64,
        /// How many there are.
        images: u64,
    },
    /// Failures of single faults are wanted, but draws have several.
    #[error(
        "{condition}: a draw is a chip with any number of faults, so a failure cannot be laid to one of them; expected [trials] statistical or exhaustive, or a single [[fault]] with count = 1, and a permanent lifetime"
    )]
    NotSingleFaults {
        /// The condition.
        condition: String,
    },
    /// An axis that was not swept.
    #[error("the campaign has no axis {wanted}; {axes}")]
    NoAxis {
        /// What was asked for.
        wanted: String,
        /// Which axes there are, in words.
        axes: String,
    },
    /// Faults whose number is not that of bits.
    #[error(
        "failures in time count upsets of single bits, but the faults are {found}; expected a [[fault]] with model = \"bit-flip\" on single bits"
    )]
    NotBits {
        /// What the faults are.
        found: String,
    },
    /// A description of conditions that cannot be read.
    #[error("\"{found}\" names no conditions; expected \"axis = value\", several with commas between them")]
    Filter {
        /// What was written.
        found: String,
    },
    /// A description that no condition fits.
    #[error("no condition is \"{wanted}\"; the campaign has: {conditions}")]
    NoCondition {
        /// What was written.
        wanted: String,
        /// The conditions.
        conditions: String,
    },
    /// Nothing to judge by.
    #[error("found no limit; give at least one")]
    NoLimit,
    /// Two campaigns without a condition in common.
    #[error("the campaigns have no condition in common: the first has {first}; the second has {second}")]
    NothingInCommon {
        /// Conditions of the first.
        first: String,
        /// Conditions of the second.
        second: String,
    },
}

/// Names at most so many of several things.
const NAMED: usize = 8;

/// The first of `names`, and how many more there are.
pub(super) fn listed(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    let mut text = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if names.len() > NAMED {
        text = format!("{text}; and {} more", names.len() - NAMED);
    }
    text
}
