//! One chip's array.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{CrossbarError, CrossbarSpec, ProgrammingModel};

/// Devices of a weight: of a pair, `G⁺` is the first.
pub(super) const PAIR: usize = 2;

/// The devices of one chip as one layer uses them, whatever weights they are programmed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossbar {
    pub(super) spec: CrossbarSpec,
    /// Outputs and inputs of the layer.
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// The standard normal deviate of every device, `[outputs, inputs, 2]`.
    deviates: Vec<f32>,
    /// Devices that cannot be programmed, in order.
    stuck: Vec<StuckDevice>,
}

/// A device that cannot be programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StuckDevice {
    /// Its index in `[outputs, inputs, 2]`.
    pub device: usize,
    /// What it conducts.
    pub at: Stuck,
}

/// What a stuck device conducts, without deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stuck {
    /// The conductance at rest.
    GMin,
    /// The largest conductance.
    GMax,
}

impl Crossbar {
    /// Draws the array that a layer of `outputs` outputs and `inputs` inputs lies on. As many numbers are drawn for every specification:
    /// with the same `rng`, a chip of larger deviations has the same deviates, and one of more stuck devices has those of one with fewer.
    ///
    /// # Panics
    /// When there are no outputs or no inputs.
    pub fn draw(spec: &CrossbarSpec, [outputs, inputs]: [usize; 2], rng: &mut impl Rng) -> Self {
        assert!(outputs > 0 && inputs > 0, "a layer has outputs and inputs");
        let devices = outputs * inputs * PAIR;
        let deviates = (0..devices).map(|_| StandardNormal.sample(rng)).collect();
        let (lowest, largest) = (spec.device_stuck_at_gmin_rate, 1.0 - spec.device_stuck_at_gmax_rate);
        let place = |device| {
            let chance: f64 = rng.random();
            let at = match chance {
                _ if chance < lowest => Stuck::GMin,
                _ if chance >= largest => Stuck::GMax,
                _ => return None,
            };
            Some(StuckDevice { device, at })
        };
        let stuck = (0..devices).filter_map(place).collect();
        Self { spec: spec.clone(), outputs, inputs, deviates, stuck }
    }

    /// Checks an array that was not drawn but read.
    ///
    /// # Errors
    /// When its specification is not sound, or it has not one deviate for each device or stuck devices that it has not.
    pub fn check(&self) -> Result<(), CrossbarError> {
        self.spec.check()?;
        let error = |field, expected| Err(CrossbarError::Array { field, expected });
        let devices = self.outputs.checked_mul(self.inputs).and_then(|weights| weights.checked_mul(PAIR));
        if devices != Some(self.deviates.len()) || self.deviates.is_empty() {
            return error("deviates", "two for each weight of [outputs, inputs]");
        }
        if !self.deviates.iter().all(|deviate| deviate.is_finite()) {
            return error("deviates", "finite numbers");
        }
        let ordered = self.stuck.is_sorted_by(|one, next| one.device < next.device);
        if !(ordered && self.stuck.last().is_none_or(|last| last.device < self.deviates.len())) {
            return error("stuck", "devices of the array in order");
        }
        Ok(())
    }

    /// The standard normal deviate of every device, `[outputs, inputs, 2]`; of a pair, `G⁺` is the first.
    pub fn deviates(&self) -> &[f32] {
        &self.deviates
    }

    /// The devices that cannot be programmed, in order.
    pub fn stuck(&self) -> &[StuckDevice] {
        &self.stuck
    }

    /// What the devices conduct after programming weights into them, `[outputs, inputs, 2]`, in parts of `G_max − G_min`; of weights that are
    /// NaN, NaN. `scales` is the magnitude of each output's weights that is programmed as the largest conductance, `[outputs]`.
    pub(super) fn program(&self, weights: &[f32], scales: &[f32]) -> Vec<f64> {
        let span = self.spec.g_max - self.spec.g_min;
        let [lowest, largest] = [self.spec.g_min / span, self.spec.g_max / span];
        let mut conductances = Vec::with_capacity(self.deviates.len());
        for (index, (weight, deviates)) in weights.iter().zip(self.deviates.chunks_exact(PAIR)).enumerate() {
            let scale = scales[index / self.inputs];
            let share = if scale > 0.0 { f64::from(*weight) / f64::from(scale) } else { f64::from(*weight) };
            for (share, deviate) in [share, -share].into_iter().zip(deviates) {
                let target = lowest + self.level(if share < 0.0 { 0.0 } else { share });
                conductances.push(self.deviate(target, largest, f64::from(*deviate)));
            }
        }
        for StuckDevice { device, at } in &self.stuck {
            conductances[*device] = match at {
                Stuck::GMin => lowest,
                Stuck::GMax => largest,
            };
        }
        conductances
    }

    /// The level that is nearest to a share of `G_max − G_min`.
    fn level(&self, share: f64) -> f64 {
        let Some(levels) = self.spec.levels else { return share };
        let steps = f64::from(levels - 1);
        (share * steps).round_ties_even() / steps
    }

    /// What a device conducts that was programmed to `target`.
    fn deviate(&self, target: f64, largest: f64, deviate: f64) -> f64 {
        let sigma = self.spec.programming.sigma;
        let drawn = match self.spec.programming.model {
            ProgrammingModel::Relative => target * (1.0 + sigma * deviate),
            ProgrammingModel::Absolute => target + sigma * largest * deviate,
            ProgrammingModel::Lognormal => target * libm::exp(sigma * deviate),
        };
        // Not `max`, which would make a number of NaN.
        if drawn < 0.0 { 0.0 } else { drawn }
    }
}
