//! What a campaign will do, before it does it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::images::{DrawImages, PILOT_IMAGES, halves, strata};
use super::sweep::{Swept, label};
use super::trials::Precision;
use crate::statistics::ByMargin;

/// One combination of swept values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its place in the sweep.
    pub id: usize,
    /// The swept fields and their values; none without a sweep.
    pub swept: Vec<Swept>,
    /// Number of different sites, over all faults that are drawn.
    pub sites: u64,
    /// Draws; the most there can be, where draws stop by precision.
    pub draws: u64,
}

impl Condition {
    /// The swept fields and values, as `format = int8, bit = 3`.
    pub fn label(&self) -> String {
        label(&self.swept)
    }
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
    /// How many images it runs.
    pub images: ByMargin<u64>,
}

/// All trials of a campaign. Trials are numbered draw by draw through all conditions, so that an interrupted campaign has nearly
/// equally many draws of each: `id = draw · conditions + condition`. Where conditions have different numbers of draws, some numbers are
/// not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// When a condition has enough draws, if not by their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// How many images there are.
    pub images: u64,
    /// How many of them each draw runs.
    pub draw_images: DrawImages,
    /// Multiply-accumulate operations of the network for one image.
    pub image_macs: u64,
}

impl Plan {
    /// Number of trials; the most there can be, where draws stop by precision.
    pub fn len(&self) -> u64 {
        self.conditions.iter().map(|condition| condition.draws).sum()
    }

    /// Whether there is no trial.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The trials in the order of their ids. Where a pilot chooses the number of images, trials behind it have the pilot's here; a
    /// [`Schedule`](super::Schedule) knows what was chosen.
    pub fn trials(&self) -> impl Iterator<Item = Trial> + use<'_> {
        self.trials_within(self.conditions.iter().map(|condition| condition.draws).collect())
    }

    /// The first so many draws of each condition, in the order of their ids.
    pub(super) fn trials_within(&self, draws: Vec<u64>) -> impl Iterator<Item = Trial> + use<'_> {
        let draws: Arc<[u64]> = draws.into();
        (0..draws.iter().copied().max().unwrap_or(0)).flat_map(move |draw| {
            let draws = Arc::clone(&draws);
            let has = move |condition: &usize| draw < draws[*condition];
            (0..self.conditions.len()).filter(has).map(move |condition| self.trial(condition, draw))
        })
    }

    /// A draw under a condition.
    pub(super) fn trial(&self, condition: usize, draw: u64) -> Trial {
        let id = draw * self.conditions.len() as u64 + condition as u64;
        Trial { id, condition, draw, images: self.first_images() }
    }

    /// How many images the first draws run.
    pub fn first_images(&self) -> ByMargin<u64> {
        match self.draw_images {
            DrawImages::All => self.strata(),
            DrawImages::Count(images) => halves(self.images, images),
            DrawImages::Auto => halves(self.images, PILOT_IMAGES),
        }
    }

    /// How many images are near to another answer, and far from it.
    pub fn strata(&self) -> ByMargin<u64> {
        strata(self.images)
    }

    /// The number of draws that choose how many images all others run, if they do.
    pub fn pilot_draws(&self) -> Option<u64> {
        self.precision.filter(|_| self.draw_images == DrawImages::Auto).map(|precision| precision.min)
    }

    /// The trial of that id, if there is one; with as many images as in [`trials`](Self::trials).
    pub fn find(&self, id: u64) -> Option<Trial> {
        let conditions = self.conditions.len() as u64;
        let condition = self.conditions.get(usize::try_from(id.checked_rem(conditions)?).ok()?)?;
        let draw = id / conditions;
        (draw < condition.draws).then(|| self.trial(condition.id, draw))
    }
}
