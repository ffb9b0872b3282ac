//! What struck words read: of parameters, before a run; of activations, while it runs.

use std::collections::BTreeMap;

use super::draw::FaultSite;
use super::error_model::{Damage, Reading};
use crate::execution::{ParameterId, Weights};
use crate::memory::{Memory, Part, StoredTensor, TensorId};
use crate::number::{Codec, NumberFormat};

/// A parameter's value that reads otherwise than stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The parameter.
    pub parameter: ParameterId,
    /// Which of its values, row-major.
    pub index: usize,
    /// What it reads.
    pub value: f32,
}

/// What the sites in parameters make of a memory's values; sites in activations are passed over. Every changed value is named
/// once; what reads as before, bit for bit, is left out.
///
/// The time taken is proportional to the number of sites, but for a struck scale or zero point, which changes every value that
/// shares it.
pub fn changes(memory: &Memory, sites: &[FaultSite]) -> Vec<Change> {
    let in_parameters = sites.iter().filter(|site| memory.tensor(site.tensor).parameter().is_some());
    let mut changes = Vec::new();
    for (id, sites) in by_tensor(in_parameters) {
        let (Some(parameter), Some(stored)) = (memory.tensor(id).parameter(), memory.stored_values(id))
        else {
            continue;
        };
        let mut change = |index: usize, value: f32| {
            if value.to_bits() != stored[index].to_bits() {
                changes.push(Change { parameter, index, value });
            }
        };
        Struck::new(memory.tensor(id), &sites).read(|index| stored[index], &mut change);
    }
    changes
}

/// Sites of each tensor, in their order.
fn by_tensor<'a>(sites: impl Iterator<Item = &'a FaultSite>) -> BTreeMap<TensorId, Vec<&'a FaultSite>> {
    let mut tensors: BTreeMap<TensorId, Vec<&FaultSite>> = BTreeMap::new();
    for site in sites {
        tensors.entry(site.tensor).or_default().push(site);
    }
    tensors
}

/// Makes parameters read otherwise.
pub fn strike(changes: &[Change], weights: &mut Weights) {
    for change in changes {
        weights.set(change.parameter, change.index, change.value);
    }
}

/// Makes parameters read as in `pristine` again.
pub fn undo(changes: &[Change], pristine: &Weights, weights: &mut Weights) {
    for change in changes {
        let stored = pristine.get(change.parameter, change.index);
        weights.set(change.parameter, change.index, stored);
    }
}

/// What faults make of the activations at one tap: the sites that strike one image there.
pub fn strike_activations(memory: &Memory, tensor: TensorId, sites: &[&FaultSite], values: &mut [f32]) {
    if sites.is_empty() {
        return;
    }
    let struck = Struck::new(memory.tensor(tensor), sites);
    let mut changed = Vec::new();
    struck.read(|index| values[index], &mut |index, value| changed.push((index, value)));
    for (index, value) in changed {
        values[index] = value;
    }
}

/// A tensor with faults in its words.
struct Struck<'a> {
    stored: &'a Codec,
    /// The codec with struck scales and zero points, and the channels they belong to.
    read: Option<(Codec, Vec<usize>)>,
    /// The damage to values, ordered by value; that of one value in the order of the faults.
    damage: Vec<(usize, Damage)>,
    values: usize,
}

impl<'a> Struck<'a> {
    fn new(tensor: &'a StoredTensor, sites: &[&FaultSite]) -> Self {
        let stored = tensor.codec();
        let mut read: Option<(Codec, Vec<usize>)> = None;
        let mut damage = Vec::new();
        for site in sites {
            let places = (0..site.count).map(|i| site.start + i * site.step);
            if site.part == Part::Values {
                damage.extend(places.map(|index| (index, site.damage)));
                continue;
            }
            let (codec, channels) = read.get_or_insert_with(|| (stored.clone(), Vec::new()));
            for channel in places {
                strike_metadata(codec, site.part, channel, site.damage, tensor.format);
                channels.push(channel);
            }
        }
        // Stable: damage to one value stays in order.
        damage.sort_by_key(|(index, _)| *index);
        Self { stored, read, damage, values: tensor.values() }
    }

    /// Tells every value that may read otherwise than `value` says it is stored, each once.
    fn read(&self, value: impl Fn(usize) -> f32, tell: &mut dyn FnMut(usize, f32)) {
        let codec = self.read.as_ref().map_or(self.stored, |(codec, _)| codec);
        if let Some((codec, channels)) = &self.read {
            for index in (0..self.values).filter(|&index| channels.contains(&codec.channel_of(index))) {
                if self.damage.binary_search_by_key(&index, |(index, _)| *index).is_err() {
                    tell(index, codec.decode(index, self.stored.encode(index, value(index))));
                }
            }
        }
        for group in self.damage.chunk_by(|a, b| a.0 == b.0) {
            let index = group[0].0;
            let mut reading = Reading::of(value(index));
            if self.read.is_some() {
                let word = self.stored.encode(index, reading.value);
                reading = Reading { value: codec.decode(index, word), word: Some(word) };
            }
            for (_, damage) in group {
                damage.apply(
                    &mut reading,
                    |value| codec.encode(index, value),
                    |word| codec.decode(index, word),
                );
            }
            tell(index, reading.value);
        }
    }
}

/// Strikes the scale or zero point of one channel.
fn strike_metadata(codec: &mut Codec, part: Part, channel: usize, damage: Damage, format: NumberFormat) {
    let Some(grid) = codec.grid_mut(channel) else { return };
    if part == Part::Scale {
        let mut reading = Reading::of(grid.scale);
        damage.apply(&mut reading, |scale| u64::from(scale.to_bits()), |word| f32::from_bits(word as u32));
        grid.scale = reading.value;
        return;
    }
    let width = format.bit_width();
    let signed = !matches!(format, NumberFormat::Uint(_));
    let mask = u64::MAX >> (64 - width);
    let decode = |word: u64| {
        // Shifted up and down again, the sign is extended.
        let shift = 64 - width;
        if signed { ((word << shift) as i64 >> shift) as f32 } else { word as f32 }
    };
    // Zero points have at most 16 bits, which a float holds exactly.
    let word = grid.zero_point as u64 & mask;
    let mut reading = Reading { value: grid.zero_point as f32, word: Some(word) };
    damage.apply(&mut reading, |value| value as i64 as u64 & mask, decode);
    // Whatever strikes it, it stays an integer of its width; NaN is zero.
    let (low, high) =
        if signed { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) };
    grid.zero_point = (reading.value.round_ties_even() as i32).clamp(low, high);
}
