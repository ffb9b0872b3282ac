//! Which bits of a word a fault may strike.

use super::error::{FaultError, field};
use super::error_model::ErrorModel;
use super::spec::{BitSelection, FaultSpec};
use crate::memory::StoredTensor;
use crate::number::NumberFormat;

impl FaultSpec {
    /// The struck bits of every way to strike a word of `format`.
    pub(super) fn masks(&self, model: ErrorModel, format: NumberFormat) -> Result<Vec<u64>, FaultError> {
        let width = format.bit_width();
        let all = u64::MAX >> (64 - width);
        if !model.strikes_bits() {
            return match (&self.bits, self.burst_bits) {
                (None, None) => Ok(vec![all]),
                (Some(_), _) => {
                    field("bits", format!("{} strikes whole values; leave bits out", model.name()))
                }
                (None, Some(_)) => {
                    field("burst_bits", format!("{} strikes whole values; leave it out", model.name()))
                }
            };
        }
        let burst = self.burst_bits.unwrap_or(1);
        if burst == 0 || burst > width {
            return field("burst_bits", format!("expected 1 to {width} for {format}, found {burst}"));
        }
        let burst_mask = u64::MAX >> (64 - burst);
        // A burst lies wholly in its word.
        let masks: Vec<u64> = self
            .chosen_bits(format)?
            .into_iter()
            .filter(|bit| bit + burst <= width)
            .map(|bit| burst_mask << bit)
            .collect();
        if masks.is_empty() {
            return field("bits", format!("no burst of {burst} bits begins at any of them in {format}"));
        }
        Ok(masks)
    }

    /// The bits of a tensor's words that may be struck.
    ///
    /// # Errors
    /// When a bit does not exist, the tensor has no such words, or the error model strikes whole values.
    pub fn bits_in(&self, tensor: &StoredTensor) -> Result<Vec<u32>, FaultError> {
        let model = self.error_model()?;
        if !model.strikes_bits() {
            return field("bits", format!("{} strikes whole values; leave bits out", model.name()));
        }
        self.chosen_bits(self.word_format(tensor)?)
    }

    fn chosen_bits(&self, format: NumberFormat) -> Result<Vec<u32>, FaultError> {
        let width = format.bit_width();
        let exists = |bit: u32| {
            if bit < width {
                return Ok(());
            }
            field("bits", format!("bit {bit} does not exist in {format} (0 to {})", width - 1))
        };
        match &self.bits {
            None | Some(BitSelection::All(_)) => Ok((0..width).collect()),
            Some(BitSelection::Field(name)) => match format.field(*name) {
                Some(range) => Ok(range.collect()),
                None => field("bits", format!("{format} has no {}", name.name())),
            },
            Some(BitSelection::Range(range)) => {
                if range.from > range.to {
                    return field("bits", format!("the range from {} to {} is empty", range.from, range.to));
                }
                exists(range.to)?;
                Ok((range.from..=range.to).collect())
            }
            Some(BitSelection::List(bits)) => {
                let mut sorted = bits.clone();
                sorted.sort_unstable();
                sorted.dedup();
                match sorted.last() {
                    None => field("bits", "the list is empty"),
                    Some(_) if sorted.len() != bits.len() => {
                        field("bits", format!("{bits:?} names a bit twice"))
                    }
                    Some(last) => exists(*last).map(|()| sorted),
                }
            }
        }
    }
}
