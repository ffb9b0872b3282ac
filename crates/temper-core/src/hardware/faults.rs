//! Which faults leave a layer's words such as its device holds.

use super::Hardware;
use crate::fault::{Fault, FaultError, Strike, off_codes};
use crate::memory::{Departure, Memory};

impl Hardware {
    /// Checks that faults of a memory leave weights and inputs of these layers codes that their devices compute with: a weight of one bit has no
    /// code of zero, and a feature none between two steps. The error has the fault's number, from 0.
    ///
    /// # Errors
    /// When a fault could make of a code what is none.
    pub fn check_faults(&self, memory: &Memory, faults: &[Fault]) -> Result<(), (usize, FaultError)> {
        let of_fault = |(number, fault)| Strike::of_fault(number, fault);
        let strikes: Vec<Strike> = faults.iter().enumerate().flat_map(of_fault).collect();
        self.check_strikes(memory, &strikes)
    }

    /// The same of what faults do.
    pub(crate) fn check_strikes(
        &self,
        memory: &Memory,
        strikes: &[Strike],
    ) -> Result<(), (usize, FaultError)> {
        let sources = self.sources(memory);
        let is_zeroed = |strike: &&Strike| {
            strike.departure == Departure::Zero
                && sources.iter().any(|source| source.weights == strike.tensor)
        };
        match strikes.iter().find(is_zeroed).or_else(|| off_codes(memory, &sources, strikes)) {
            None => Ok(()),
            Some(strike) => {
                let (layer, target) = strike.struck(memory);
                Err((strike.fault, FaultError::OffDevice { layer, target }))
            }
        }
    }
}
