//! Where faults enter a network.

use super::program::{Program, StepId};
use super::taps::TapId;
use super::weights::{ParameterId, Weights};

/// Where a trial's faults enter the network.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// By step, in their order.
    steps: Vec<(StepId, Origin)>,
    /// For each image of the batch, the steps of the taps at which it is struck, ascending; `None` if all are struck alike.
    of_image: Option<Vec<Vec<StepId>>>,
}

/// What of a step's output faults may change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Output channels, the last excluded: their parameters are struck.
    Channels(usize, usize),
    /// All of it.
    All,
    /// What the touch says: activations are struck.
    Tap,
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
        self.add(program.step_of(parameter), origin);
    }

    /// Adds a tap whose touch strikes.
    pub fn add_tap(&mut self, program: &Program, tap: TapId) {
        self.add(program.step_of_tap(tap), Origin::Tap);
    }

    /// Says for each image of the batch at which taps it is struck, where images are struck differently.
    pub fn set_image_taps(&mut self, program: &Program, taps: impl Iterator<Item = Vec<TapId>>) {
        let steps = taps.map(|taps| {
            let mut steps: Vec<StepId> = taps.into_iter().map(|tap| program.step_of_tap(tap)).collect();
            steps.sort_unstable();
            steps
        });
        self.of_image = Some(steps.collect());
    }

    fn add(&mut self, step: StepId, origin: Origin) {
        match self.steps.binary_search_by_key(&step, |(step, _)| *step) {
            Err(place) => self.steps.insert(place, (step, origin)),
            Ok(place) => {
                let known = &mut self.steps[place].1;
                *known = match (*known, origin) {
                    (Origin::Channels(low, high), Origin::Channels(first, end)) => {
                        Origin::Channels(low.min(first), high.max(end))
                    }
                    (known, origin) if known == origin => known,
                    _ => Origin::All,
                };
            }
        }
    }

    /// The first step that faults change; `None` if they change nothing.
    pub fn first(&self) -> Option<StepId> {
        self.steps.first().map(|(step, _)| *step)
    }

    /// The last step at which faults enter an image.
    pub(super) fn last(&self, image: usize) -> Option<StepId> {
        let Some(of_image) = &self.of_image else { return self.steps.last().map(|(step, _)| *step) };
        let parameters = self.steps.iter().rev().find(|(_, origin)| *origin != Origin::Tap);
        parameters.map(|(step, _)| *step).max(of_image[image].last().copied())
    }

    /// Whether an image is struck at the tap of a step.
    pub(super) fn strikes(&self, image: usize, step: usize) -> bool {
        self.of_image.as_ref().is_none_or(|of_image| of_image[image].binary_search(&StepId(step)).is_ok())
    }

    pub(super) fn at(&self, step: usize) -> Option<Origin> {
        let place = self.steps.binary_search_by_key(&StepId(step), |(step, _)| *step).ok()?;
        Some(self.steps[place].1)
    }
}
