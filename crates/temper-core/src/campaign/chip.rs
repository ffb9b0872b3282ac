//! The chips that a campaign's trials run on.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;

use super::arithmetic::strikes;
use super::plan::Trial;
use super::resolved::{Campaign, Struck};
use crate::execution::Weights;
use crate::fault::{Change, FaultError};
use crate::hardware::{Chip, ChipLayer, Hardware, Mounted, Noise};
use crate::memory::Memory;

/// A trial's layers on its chip, shared by all threads.
#[derive(Debug)]
pub(super) struct TrialChip {
    layers: Vec<Arc<Mounted>>,
    noise: Noise,
}

impl TrialChip {
    /// Lets the chip compute its layers, until they are unmounted.
    pub(super) fn mount(&self, weights: &mut Weights) {
        weights.mount(&self.layers, Some(self.noise));
    }
}

impl Campaign<'_> {
    /// The seed of the chip that a trial runs on: a pure function of the campaign's seed and the trial's draw. `None` without `[[hardware]]`.
    pub fn chip_seed(&self, trial: Trial) -> Option<u64> {
        (!self.hardware_of(trial).is_empty()).then(|| Chip::seed_of_draw(self.seed, trial.draw))
    }

    /// What the user should know before trials run: what the chips cannot read.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.hardware().flat_map(Hardware::warnings).collect();
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// The chip of a trial, if it has one, with the weights that permanent faults leave on it.
    pub(super) fn chip_of(&self, trial: Trial, changes: &[Change]) -> Option<TrialChip> {
        let chip = self.hardware_of(trial).draw(self.chip_seed(trial)?);
        let memory = &self.variant_of(trial).memory;
        let mount = |layer: &ChipLayer| Arc::new(mounted(layer, memory, changes));
        let layers = chip.layers.par_iter().map(mount).collect();
        Some(TrialChip { layers, noise: Noise::of_trial(self.seed, trial.id) })
    }
}

/// A layer's weights on a chip, as they read after these changes.
fn mounted(layer: &ChipLayer, memory: &Memory, changes: &[Change]) -> Mounted {
    let parameter = memory.weights_of(&layer.layer).parameter();
    let stored = &memory.network().tensors()[&format!("{}.weight", layer.layer)];
    let mut values = Cow::Borrowed(stored.data());
    for change in changes.iter().filter(|change| Some(change.parameter) == parameter) {
        values.to_mut()[change.index] = change.value;
    }
    Mounted::new(layer, memory, &values)
}

/// Checks that what lies on chips stays there under faults, and is what the devices hold; the error has the fault's number, from 0.
pub(super) fn check_chips(
    memory: &Memory,
    hardware: &Hardware,
    faults: &[Struck],
) -> Result<(), (usize, FaultError)> {
    if hardware.is_empty() {
        return Ok(());
    }
    let strikes = strikes(faults);
    let network = memory.network();
    let weights = |node| memory.weights_of(&network.node(node).name).parameter();
    let on_chips: Vec<_> = hardware.nodes().into_iter().map(weights).collect();
    for strike in strikes.iter().filter(|strike| strike.anew) {
        let struck = memory.tensor(strike.tensor);
        if struck.parameter().is_some() && on_chips.contains(&struck.parameter()) {
            return Err((strike.fault, FaultError::ChipAnew { layer: struck.layer.clone() }));
        }
    }
    hardware.check_strikes(memory, &strikes)
}
