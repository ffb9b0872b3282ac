//! Slices of a plan, for several processes or machines.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::plan::{Plan, Trial};

/// The most shards that a plan is cut into.
const MOST: u32 = 10_000;

/// One of the n equal slices of a plan, written `k/n` with k from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// Why something is no shard.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShardError {
    /// Not two numbers with a slash between them.
    #[error("expected a shard as k/n with 1 <= k <= n <= {MOST}, such as 2/3; found \"{found}\"")]
    Form {
        /// What was found.
        found: String,
    },
    /// No shards, or too many.
    #[error("a campaign is cut into 1 to {MOST} shards; found {found}")]
    Count {
        /// The number of shards found.
        found: u32,
    },
    /// A number that none of the shards has.
    #[error("the shards of {of} are numbered 1 to {of}; found {found}")]
    Index {
        /// The number found.
        found: u32,
        /// How many shards there are.
        of: u32,
    },
}

impl Shard {
    /// The whole plan as one shard, `1/1`.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Shard `index` of `of`.
    ///
    /// # Errors
    /// Unless 1 ≤ `index` ≤ `of` ≤ 10 000.
    pub fn new(index: u32, of: u32) -> Result<Self, ShardError> {
        if !(1..=MOST).contains(&of) {
            return Err(ShardError::Count { found: of });
        }
        if !(1..=of).contains(&index) {
            return Err(ShardError::Index { found: index, of });
        }
        Ok(Self { index, of })
    }

    /// Its number, from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The number of shards.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Which trials of a plan it holds.
    ///
    /// Trials are dealt to the shards in turn like cards, all draws of the first condition, then all of the second, and so on. So
    /// the n shards together hold every trial exactly once, and no two differ by more than one trial, neither in all nor under any
    /// one condition (which decides what a trial costs), whatever factors n shares with the number of conditions. Every run of n
    /// consecutive draws of a condition has one in each shard, so a stopped shard has nearly equally many draws of each condition.
    pub fn holds(self, plan: &Plan) -> impl Fn(&Trial) -> bool + use<> {
        let (turn, of) = (u64::from(self.index - 1), u64::from(self.of));
        // The number of trials dealt before each condition's first, modulo the number of shards.
        let deal = |dealt: &mut u64, draws: u64| {
            let before = *dealt;
            *dealt = (before + draws % of) % of;
            Some(before)
        };
        let draws = plan.conditions.iter().map(|condition| condition.draws);
        let before: Vec<u64> = draws.scan(0, deal).collect();
        move |trial| (before[trial.condition] + trial.draw % of) % of == turn
    }

    /// The trials of a plan that it holds, in the order of their ids.
    pub fn trials(self, plan: &Plan) -> impl Iterator<Item = Trial> + use<'_> {
        plan.trials().filter(self.holds(plan))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let form = || ShardError::Form { found: text.to_owned() };
        let number = |digits: &str| -> Result<u32, ShardError> {
            // The standard parser would take a sign too.
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse().ok()).ok_or_else(form)
        };
        let (index, of) = text.split_once('/').ok_or_else(form)?;
        Self::new(number(index)?, number(of)?)
    }
}
