//! In which numbers layers compute, and which faults that allows.

use serde::{Deserialize, Serialize};

use super::resolved::Struck;
use crate::fault::{FaultError, Lifetime};
use crate::memory::{Departure, IntegerError, IntegerSource, Memory, Part, Target, TensorId};

/// In which numbers convolutions and linear layers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// 32-bit floats, of the values that the stored words mean.
    #[default]
    Float,
    /// The stored codes themselves, in layers whose weights and inputs are stored as integers of at most 8 bits: sums are exact.
    Integer,
}

impl Arithmetic {
    /// Whether it is the default; for serde.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a condition cannot be computed in integers.
pub(super) enum Unfit {
    /// The storage.
    Storage(IntegerError),
    /// A fault, by its number from 0.
    Fault(usize, FaultError),
}

/// What one fault does to one tensor.
#[derive(Clone, Copy)]
pub(super) struct Strike {
    /// The fault's number, from 0.
    pub(super) fault: usize,
    pub(super) tensor: TensorId,
    part: Part,
    pub(super) departure: Departure,
    /// Whether it is another one in every image.
    pub(super) anew: bool,
}

impl Strike {
    /// Which layer it strikes, and what there.
    pub(super) fn struck(&self, memory: &Memory) -> (String, Target) {
        let struck = memory.tensor(self.tensor);
        (struck.layer.clone(), Target { class: struck.class, part: self.part })
    }
}

/// What faults do to every tensor that they may strike.
pub(super) fn strikes(faults: &[Struck]) -> Vec<Strike> {
    let mut strikes = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        match fault {
            Struck::Drawn(fault) => {
                let (part, departure) = fault.departure();
                let anew = fault.lifetime() == Lifetime::Transient;
                let strike = |tensor| Strike { fault: number, tensor, part, departure, anew };
                strikes.extend(fault.tensors().map(strike));
            }
            Struck::Listed(listed) => strikes.extend(listed.iter().map(|listed| Strike {
                fault: number,
                tensor: listed.site.tensor,
                part: listed.site.part,
                departure: listed.site.damage.departure(),
                anew: listed.image.is_some(),
            })),
        }
    }
    strikes
}

/// The first strike that makes of the codes of these layers what no code stands for.
pub(super) fn off_codes<'a>(
    memory: &Memory,
    sources: &[IntegerSource],
    strikes: &'a [Strike],
) -> Option<&'a Strike> {
    let mut words: Vec<TensorId> =
        strikes.iter().filter(|s| s.departure == Departure::Word).map(|s| s.tensor).collect();
    words.sort_unstable();
    strikes.iter().find(|strike| {
        let Strike { tensor, part, departure, .. } = **strike;
        let words = words.binary_search(&tensor).is_ok();
        !sources.iter().all(|source| source.holds(memory, tensor, part, departure, words))
    })
}

/// Checks that a condition can be computed in integers, and stays in them under its faults.
pub(super) fn check_integer(memory: &Memory, faults: &[Struck]) -> Result<(), Unfit> {
    let sources = memory.integer_sources().map_err(Unfit::Storage)?;
    match off_codes(memory, &sources, &strikes(faults)) {
        None => Ok(()),
        Some(strike) => {
            let (layer, target) = strike.struck(memory);
            Err(Unfit::Fault(strike.fault, FaultError::OffGrid { layer, target }))
        }
    }
}
