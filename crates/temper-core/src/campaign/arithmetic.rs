//! In which numbers layers compute, and which faults that allows.

use serde::{Deserialize, Serialize};

use super::resolved::Struck;
use crate::fault::FaultError;
use crate::memory::{Departure, IntegerError, Memory, Part, Target, TensorId};

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
struct Strike {
    fault: usize,
    tensor: TensorId,
    part: Part,
    departure: Departure,
}

/// Checks that a condition can be computed in integers, and stays in them under its faults.
pub(super) fn check_integer(memory: &Memory, faults: &[Struck]) -> Result<(), Unfit> {
    let sources = memory.integer_sources().map_err(Unfit::Storage)?;
    let mut strikes = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        match fault {
            Struck::Drawn(fault) => {
                let (part, departure) = fault.departure();
                strikes.extend(fault.tensors().map(|tensor| Strike {
                    fault: number,
                    tensor,
                    part,
                    departure,
                }));
            }
            Struck::Listed(listed) => strikes.extend(listed.iter().map(|listed| Strike {
                fault: number,
                tensor: listed.site.tensor,
                part: listed.site.part,
                departure: listed.site.damage.departure(),
            })),
        }
    }
    let mut words: Vec<TensorId> =
        strikes.iter().filter(|s| s.departure == Departure::Word).map(|s| s.tensor).collect();
    words.sort_unstable();
    for strike in &strikes {
        let Strike { tensor, part, departure, .. } = *strike;
        let words = words.binary_search(&tensor).is_ok();
        if !sources.iter().all(|source| source.holds(memory, tensor, part, departure, words)) {
            let struck = memory.tensor(tensor);
            let target = Target { class: struck.class, part };
            let error = FaultError::OffGrid { layer: struck.layer.clone(), target };
            return Err(Unfit::Fault(strike.fault, error));
        }
    }
    Ok(())
}
