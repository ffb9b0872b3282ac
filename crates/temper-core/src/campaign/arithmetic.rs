//! In which numbers layers compute, and which faults that allows.

use serde::{Deserialize, Serialize};

use super::resolved::Struck;
use crate::fault::{FaultError, Strike, off_codes};
use crate::memory::{IntegerError, Memory};

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

/// What faults do to every tensor that they may strike.
pub(super) fn strikes(faults: &[Struck]) -> Vec<Strike> {
    let mut strikes = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        match fault {
            Struck::Drawn(fault) => strikes.extend(Strike::of_fault(number, fault)),
            Struck::Listed(listed) => {
                strikes.extend(listed.iter().map(|listed| Strike::of_listed(number, listed)));
            }
        }
    }
    strikes
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
