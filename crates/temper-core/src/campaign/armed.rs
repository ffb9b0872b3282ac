//! A trial with its faults drawn.

use std::ops::Range;

use super::chip::TrialChip;
use super::engine::Golden;
use super::plan::Trial;
use super::resolved::{Campaign, TrialFaults};
use crate::execution::{Extent, Origins};
use crate::fault::{Change, FaultSite, changes};

/// A trial with its faults drawn: what they are and where they enter the network.
pub(super) struct Armed {
    pub(super) trial: Trial,
    pub(super) faults: TrialFaults,
    /// What permanent faults make of the parameters.
    pub(super) changes: Vec<Change>,
    /// The images that it runs, ascending; `None` for all.
    pub(super) images: Option<Vec<usize>>,
    /// The permanent sites in activations.
    pub(super) activations: Vec<FaultSite>,
    /// Where faults enter, but for parameters struck anew for every image; nowhere, if they change nothing.
    pub(super) origins: Origins,
    /// Whether parameters are struck anew for every image.
    pub(super) anew: bool,
    /// The chip that it runs on, once it is mounted.
    pub(super) chip: Option<TrialChip>,
}

impl Campaign<'_> {
    /// Draws the faults of a trial.
    pub(super) fn arm(&self, golden: &Golden, trial: Trial) -> Armed {
        let faults = self.faults_of(trial);
        let variant = self.variant_of(trial);
        let permanent: Vec<FaultSite> = faults.permanent().copied().collect();
        let changes = changes(&variant.memory, &permanent);
        let mut origins = variant.origins(&changes);
        let is_activation = |site: &FaultSite| variant.memory.tensor(site.tensor).tap().is_some();
        let activations: Vec<FaultSite> = permanent.into_iter().filter(is_activation).collect();
        for (tap, extent) in activations.iter().filter_map(|site| variant.struck_at(site)) {
            origins.add_tap(&variant.program, tap, extent);
        }
        // Where in them is drawn for every image.
        for tap in faults.transient_tensors().filter_map(|id| variant.memory.tensor(id).tap()) {
            let anywhere = Extent::full(variant.program.tap_shape(tap));
            origins.add_tap(&variant.program, tap, anywhere);
        }
        let anew = self.strikes_parameters_anew(trial, &faults);
        let images = self.images_of(golden, trial);
        // Mounted later: chips take time.
        Armed { trial, faults, changes, images, activations, origins, anew, chip: None }
    }
}

impl Armed {
    /// The images of a range that it runs, ascending.
    pub(super) fn images_in(&self, range: Range<usize>) -> Vec<usize> {
        match &self.images {
            None => range.collect(),
            Some(images) => {
                let place = |bound: usize| images.partition_point(|&image| image < bound);
                images[place(range.start)..place(range.end)].to_vec()
            }
        }
    }

    /// Whether no image can come out otherwise than in the golden run.
    pub(super) fn changes_nothing(&self) -> bool {
        !self.anew && self.chip.is_none() && self.origins.first().is_none()
    }
}
