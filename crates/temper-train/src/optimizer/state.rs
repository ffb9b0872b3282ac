//! What an optimiser remembers of each parameter, to be stored and read back.

use thiserror::Error;

use super::Optimizer;

/// The state of one parameter.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Number of values.
    pub(super) size: usize,
    /// The buffers in the order of their names; one that no step has used yet is empty.
    buffers: Vec<Vec<f32>>,
}

impl Slot {
    pub(super) fn new(size: usize, buffers: usize) -> Self {
        Self { size, buffers: vec![Vec::new(); buffers] }
    }

    /// Whether no step has used that buffer yet.
    pub(super) fn is_empty(&self, buffer: usize) -> bool {
        self.buffers[buffer].is_empty()
    }

    /// Buffers by number, ascending; one that no step has used yet is filled with the value beside it.
    pub(super) fn buffers<const N: usize>(&mut self, wanted: [(usize, f32); N]) -> [&mut [f32]; N] {
        let size = self.size;
        let numbers = wanted.map(|(number, _)| number);
        for (number, initial) in wanted {
            self.buffers[number].resize(size, initial);
        }
        self.buffers
            .get_disjoint_mut(numbers)
            .expect("an optimiser names each of its buffers once")
            .map(Vec::as_mut_slice)
    }
}

/// Why stored state does not fit an optimiser.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// State of a parameter that is not there.
    #[error("stored state names parameter {parameter}, but there are only {parameters}")]
    Parameter {
        /// Its number.
        parameter: usize,
        /// Number of parameters.
        parameters: usize,
    },
    /// A buffer that this optimiser does not have.
    #[error("stored state has a buffer \"{name}\", which this optimiser does not keep; it keeps {known}")]
    Name {
        /// The buffer's name.
        name: String,
        /// Names of the buffers it has.
        known: String,
    },
    /// A buffer of another length than its parameter.
    #[error("stored buffer \"{name}\" of parameter {parameter} has {found} values, expected {expected}")]
    Length {
        /// The parameter's number.
        parameter: usize,
        /// The buffer's name.
        name: String,
        /// Values found.
        found: usize,
        /// The parameter's size.
        expected: usize,
    },
    /// A buffer stored twice.
    #[error("buffer \"{name}\" of parameter {parameter} is stored twice")]
    Duplicate {
        /// The parameter's number.
        parameter: usize,
        /// The buffer's name.
        name: String,
    },
    /// A buffer that should be there after as many steps.
    #[error("buffer \"{name}\" of parameter {parameter} is missing; it is needed after {steps} steps")]
    Missing {
        /// The parameter's number.
        parameter: usize,
        /// The buffer's name.
        name: String,
        /// Number of steps made.
        steps: u64,
    },
}

impl Optimizer {
    /// The state to be stored beside [`steps`](Self::steps): number of the parameter, PyTorch's name of the buffer (such as
    /// `momentum_buffer` or `exp_avg`), and as many values as the parameter has. Buffers that no step has used are left out.
    pub fn state(&self) -> impl Iterator<Item = (usize, &'static str, &[f32])> {
        let names = self.spec.buffers();
        self.slots.iter().enumerate().flat_map(move |(parameter, slot)| {
            let used = slot.buffers.iter().zip(&names).filter(|(values, _)| !values.is_empty());
            used.map(|(values, buffer)| (parameter, buffer.name, values.as_slice())).collect::<Vec<_>>()
        })
    }

    /// Takes up what [`steps`](Self::steps) and [`state`](Self::state) gave; the next step is then the same bit for bit.
    ///
    /// # Errors
    /// When a buffer is missing, unknown, stored twice or of another length than its parameter; the optimiser
    /// is then unchanged.
    pub fn restore(
        &mut self,
        steps: u64,
        state: impl IntoIterator<Item = (usize, String, Vec<f32>)>,
    ) -> Result<(), RestoreError> {
        let known = self.spec.buffers();
        let mut slots: Vec<Slot> = self.slots.iter().map(|slot| Slot::new(slot.size, known.len())).collect();
        for (parameter, name, values) in state {
            let parameters = slots.len();
            let Some(slot) = slots.get_mut(parameter) else {
                return Err(RestoreError::Parameter { parameter, parameters });
            };
            let Some(number) = known.iter().position(|buffer| buffer.name == name) else {
                let known = known.iter().map(|buffer| buffer.name).collect::<Vec<_>>().join(", ");
                return Err(RestoreError::Name { name, known });
            };
            if values.len() != slot.size {
                let (found, expected) = (values.len(), slot.size);
                return Err(RestoreError::Length { parameter, name, found, expected });
            }
            if !slot.is_empty(number) {
                return Err(RestoreError::Duplicate { parameter, name });
            }
            slot.buffers[number] = values;
        }
        for (number, buffer) in known.iter().enumerate() {
            // All parameters are updated in every step, so that a buffer is used by all or by none.
            let used = slots.iter().any(|slot| !slot.is_empty(number));
            let lacks = |slot: &Slot| slot.is_empty(number) && slot.size > 0;
            if (used || steps > 0 && buffer.needed)
                && let Some(parameter) = slots.iter().position(lacks)
            {
                return Err(RestoreError::Missing { parameter, name: buffer.name.to_owned(), steps });
            }
        }
        (self.steps, self.slots) = (steps, slots);
        Ok(())
    }
}
