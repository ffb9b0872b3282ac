//! Where faults enter a network.

use super::extent::Extent;
use super::program::{Program, StepId};
use super::taps::TapId;
use super::weights::{ParameterId, Weights};

/// Where a trial's faults enter the network.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// The steps whose parameters are struck, in their order.
    steps: Vec<(StepId, Origin)>,
    /// The steps of the taps whose touch strikes, in their order, and which values it may change.
    taps: Vec<(StepId, Extent)>,
    /// The same for each image of the batch; `None` if all are struck alike.
    of_image: Option<Vec<Vec<(StepId, Extent)>>>,
}

/// What of a step's output struck parameters may change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Output channels, the last excluded.
    Channels(usize, usize),
    /// All of it.
    All,
}

impl Origins {
    /// Adds a struck value of a parameter: it changes one channel of its step's output.
    pub fn add_parameter(
        &mut self,
        program: &Program,
        weights: &Weights,
        parameter: ParameterId,
        index: usize,
    ) {
        let origin = match weights.channel_of(parameter, index) {
            Some(channel) => Origin::Channels(channel, channel + 1),
            None => Origin::All,
        };
        let both = |known: Origin| match (known, origin) {
            (Origin::Channels(low, high), Origin::Channels(first, end)) => {
                Origin::Channels(low.min(first), high.max(end))
            }
            _ => Origin::All,
        };
        add(&mut self.steps, program.step_of(parameter), origin, both);
    }

    /// Adds a tap whose touch strikes; it changes values in `extent` alone.
    pub fn add_tap(&mut self, program: &Program, tap: TapId, extent: Extent) {
        add_tap(&mut self.taps, program, tap, extent);
    }

    /// Says for each image of the batch at which taps it is struck, and where, in place of what was [added](Self::add_tap) for all;
    /// only taps that were added.
    pub fn set_image_taps<T: IntoIterator<Item = (TapId, Extent)>>(
        &mut self,
        program: &Program,
        taps: impl Iterator<Item = T>,
    ) {
        let steps = taps.map(|taps| {
            let mut steps = Vec::new();
            taps.into_iter().for_each(|(tap, extent)| add_tap(&mut steps, program, tap, extent));
            steps
        });
        self.of_image = Some(steps.collect());
    }

    /// The first step that faults change; `None` if they change nothing.
    pub fn first(&self) -> Option<StepId> {
        [first(&self.steps), first(&self.taps)].into_iter().flatten().min()
    }

    /// Multiply-accumulates for one image before faults enter.
    pub fn cost_before(&self, program: &Program) -> Option<u64> {
        let of_parameters = first(&self.steps).map(|step| program.cost_before(step));
        let of_taps = first(&self.taps).map(|step| program.cost_before_taps(step));
        [of_parameters, of_taps].into_iter().flatten().min()
    }

    /// The last step at which faults enter an image.
    pub(super) fn last(&self, image: usize) -> Option<StepId> {
        last(&self.steps).max(last(self.taps_of(image)))
    }

    /// What struck parameters change at once of a step's output.
    pub(super) fn at(&self, step: usize) -> Option<Origin> {
        find(&self.steps, step)
    }

    /// Which values of an image the touch may change at the taps of a step.
    pub(super) fn struck(&self, image: usize, step: usize) -> Option<Extent> {
        find(self.taps_of(image), step)
    }

    fn taps_of(&self, image: usize) -> &[(StepId, Extent)] {
        self.of_image.as_ref().map_or(&self.taps, |of_image| &of_image[image])
    }
}

fn add_tap(taps: &mut Vec<(StepId, Extent)>, program: &Program, tap: TapId, extent: Extent) {
    add(taps, program.step_of_tap(tap), extent, |known: Extent| known.union(extent));
}

/// Adds what happens at a step, or joins it to what is known of that step.
fn add<T: Copy>(list: &mut Vec<(StepId, T)>, step: StepId, what: T, both: impl Fn(T) -> T) {
    match list.binary_search_by_key(&step, |(step, _)| *step) {
        Err(place) => list.insert(place, (step, what)),
        Ok(place) => list[place].1 = both(list[place].1),
    }
}

fn find<T: Copy>(list: &[(StepId, T)], step: usize) -> Option<T> {
    let place = list.binary_search_by_key(&StepId(step), |(step, _)| *step).ok()?;
    Some(list[place].1)
}

fn first<T>(list: &[(StepId, T)]) -> Option<StepId> {
    list.first().map(|(step, _)| *step)
}

fn last<T>(list: &[(StepId, T)]) -> Option<StepId> {
    list.last().map(|(step, _)| *step)
}
