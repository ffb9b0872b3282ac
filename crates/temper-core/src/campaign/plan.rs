//! What a campaign will do, before it does it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::spec::Axis;

/// The value of a swept field.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SweptValue {
    /// A count or a bit.
    Integer(u64),
    /// A rate.
    Real(f64),
}

impl fmt::Display for SweptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) if *value != 0.0 && value.abs() < 1e-2 => write!(f, "{value:e}"),
            Self::Real(value) => value.fmt(f),
        }
    }
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its place in the sweep.
    pub id: usize,
    /// The swept field and its value; `None` without a sweep.
    pub swept: Option<(Axis, SweptValue)>,
}

/// One draw under one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trial {
    /// Its number in the whole campaign, on which its random stream depends.
    pub id: u64,
    /// Its condition.
    pub condition: usize,
    /// Its number within the condition.
    pub draw: u64,
}

/// All trials of a campaign. Trials are numbered draw by draw through all conditions, so that an interrupted campaign has nearly
/// equally many draws of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// Draws for each condition.
    pub draws: u64,
}

impl Plan {
    /// Number of trials.
    pub fn len(&self) -> u64 {
        self.draws * self.conditions.len() as u64
    }

    /// Whether there is no trial; never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trials in the order of their ids.
    pub fn trials(&self) -> impl Iterator<Item = Trial> + use<> {
        let conditions = self.conditions.len();
        (0..self.draws).flat_map(move |draw| {
            (0..conditions).map(move |condition| Trial {
                id: draw * conditions as u64 + condition as u64,
                condition,
                draw,
            })
        })
    }
    /// Whether it has this very trial.
    pub fn contains(&self, trial: &Trial) -> bool {
        let conditions = self.conditions.len() as u64;
        trial.id < self.len()
            && (trial.draw, trial.condition as u64) == (trial.id / conditions, trial.id % conditions)
    }
}
