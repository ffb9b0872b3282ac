//! What happens to activations at a tap in training.

use std::ops::Neg;

use temper_core::execution::TapId;
use temper_core::fault::{Damage, FaultSite, strike_activations};
use temper_core::memory::{Memory, Part, StoredTensor, TensorId};
use temper_core::number::{Codec, NumberFormat};

use super::ranges::through_learned_step;
use super::{Buffers, Held, Stored, has_free_range, step_of};
use crate::differentiable::Touched;
use crate::recipe::FaultGradient;

impl Stored {
    /// What an activation tap does to a batch in training: its range follows, values become what their code words mean, faults strike.
    /// The gradients of values are multiplied with zero where they are beyond their range, and, where gradients go through faults, with
    /// what these leave of a small change. Those factors are left out where no gradient goes through the values, as `tracked` says.
    ///
    /// **Shapes**: values `[images, …shape]`.
    pub fn touch(&self, held: &Held, tap: usize, values: &mut [f32], tracked: bool) -> Touched {
        let mut buffers = held.buffers();
        let Buffers { memory, found } = &mut *buffers;
        let id = memory.at_tap(TapId(tap));
        if has_free_range(memory.tensor(id)) {
            let range = self.ranges.of_batch(tap, &step_of(memory, tap), values);
            memory.set_range(id, range);
            found[tap] = Some(range);
        }
        let mut touched = self.store(memory.tensor(id), values, tracked);
        if held.sites.iter().flatten().any(|site| site.tensor == id) {
            let factors = match self.gradient {
                FaultGradient::Faulty if tracked => {
                    Some(touched.factors.get_or_insert_with(|| vec![1.0; values.len()]))
                }
                _ => None,
            };
            strike_images(memory, id, &held.sites, values, factors);
        }
        touched
    }

    /// Makes the values of a batch what their code words mean.
    fn store(&self, tensor: &StoredTensor, values: &mut [f32], tracked: bool) -> Touched {
        let is_learned = self.learns(tensor);
        if !(tracked || is_learned) || tensor.format == NumberFormat::F32 {
            values.chunks_exact_mut(tensor.values()).for_each(|image| tensor.codec().store(image));
            return Touched::default();
        }
        let (mut factors, mut step) = (Vec::with_capacity(values.len()), Vec::new());
        for image in values.chunks_exact_mut(tensor.values()) {
            let before = image.to_vec();
            tensor.codec().store(image);
            if is_learned {
                for (factor, derivative) in through_learned_step(tensor.codec(), &before, image) {
                    factors.push(factor);
                    step.push(derivative);
                }
            } else {
                factors.extend(straight_through(tensor.codec(), &before, image));
            }
        }
        Touched { factors: Some(factors), step: is_learned.then_some(step) }
    }
}

/// One where a value passes its gradient on, zero where it lies beyond the codes.
pub(super) fn straight_through<'a>(
    codec: &'a Codec,
    values: &'a [f32],
    stored: &'a [f32],
) -> impl Iterator<Item = f32> + use<'a> {
    let binary = codec.format() == NumberFormat::Binary;
    // A value that is rounded moves by half a step at most; what is clipped moves further.
    let step = |index: usize| match (codec.format(), codec.grids()) {
        (NumberFormat::Fixed { fraction, .. }, _) => f32::from(fraction).neg().exp2(),
        // From 256 to 448, the largest number.
        (NumberFormat::F8E4M3, _) => 32.0,
        (_, []) => f32::INFINITY,
        (_, [grid]) => grid.scale,
        (_, grids) => grids[codec.channel_of(index)].scale,
    };
    values.iter().zip(stored).enumerate().map(move |(index, (value, stored))| {
        let passes =
            if binary { value.abs() <= 1.0 } else { (stored - value).abs() <= 0.500_01 * step(index) };
        f32::from(u8::from(passes))
    })
}

/// Strikes a batch at a tap: `sites` are the same of all images, or those of each. `factors`, if gradients go through faults, become
/// what is left of a small change of each value.
fn strike_images(
    memory: &Memory,
    id: TensorId,
    sites: &[Vec<FaultSite>],
    values: &mut [f32],
    mut factors: Option<&mut Vec<f32>>,
) {
    let len = memory.tensor(id).values();
    for (number, (image, sites)) in values.chunks_exact_mut(len).zip(sites.iter().cycle()).enumerate() {
        let own: Vec<&FaultSite> = sites.iter().filter(|site| site.tensor == id).collect();
        strike_activations(memory, id, &own, image);
        let Some(factors) = factors.as_deref_mut() else { continue };
        for site in own.iter().filter(|site| site.part == Part::Values) {
            let left = match site.damage {
                Damage::Add(_) => 1.0,
                Damage::Scale(factor) => factor,
                Damage::Negate => -1.0,
                Damage::Flip(_) | Damage::StuckAt0(_) | Damage::StuckAt1(_) | Damage::Set(_) => 0.0,
            };
            for i in 0..site.count {
                factors[number * len + site.start + i * site.step] *= left;
            }
        }
    }
}
