//! A whole data set through a program, in parallel over images.

use rayon::prelude::*;
use thiserror::Error;

use super::program::Program;
use super::run::Workspace;
use super::taps::TouchImages;
use super::weights::Weights;
use crate::data::{Dataset, Inputs};

/// Bytes of activations that one thread works on at a time.
const CHUNK_BYTES: usize = 12 << 20;

/// The network has another number of outputs than the data has classes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the network has {outputs} outputs, but {data} has {classes} classes")]
pub struct ClassesError {
    /// Values in the network's output for one image.
    pub outputs: usize,
    /// Name of the data set.
    pub data: String,
    /// Its number of classes.
    pub classes: usize,
}

impl Program {
    /// Checks that the network has one output for each class of `data`.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_classes(&self, data: &Dataset) -> Result<(), ClassesError> {
        let (outputs, classes) = (self.output_len(), data.classes());
        if outputs == classes {
            return Ok(());
        }
        Err(ClassesError { outputs, data: data.name().to_owned(), classes })
    }
}

/// Images that one thread takes through the network at a time: as many as fit a fixed budget of activations, 1 to 128. Results
/// do not depend on it.
pub fn chunk_size(program: &Program) -> usize {
    (CHUNK_BYTES / program.recording_bytes_per_image().max(1)).clamp(1, 128)
}

/// The network's outputs for all inputs, computed on the current rayon pool; `progress` is told the number of images done.
///
/// **Shapes**: `[images, classes]`.
///
/// # Panics
/// When the program has taps: they need [`logits_with`].
pub fn logits(
    program: &Program,
    weights: &Weights,
    inputs: &Inputs<'_>,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<f32> {
    program.assert_untapped();
    logits_with(program, weights, inputs, &|_, _, _| {}, progress)
}

/// [`logits`], touching at every tap as [`Program::run_unstruck`] does. Images come in contiguous ranges of at most [`chunk_size`],
/// each image once; ranges are worked on in any order and at the same time, so the outputs are reproducible if the touch treats images
/// independently.
///
/// **Shapes**: `[images, classes]`.
pub fn logits_with(
    program: &Program,
    weights: &Weights,
    inputs: &Inputs<'_>,
    touch: &TouchImages<'_>,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<f32> {
    let classes = program.output_len();
    let chunk = chunk_size(program);
    let mut logits = vec![0.0; inputs.len() * classes];
    logits.par_chunks_mut(chunk * classes).enumerate().for_each_init(
        || Workspace::new(program),
        |workspace, (index, logits)| {
            let count = logits.len() / classes;
            let images = index * chunk..index * chunk + count;
            inputs.fill(images.clone(), workspace.input_mut(program, count));
            workspace.number(images.clone());
            program.run_unstruck(weights, workspace, &mut |tap, values| touch(images.clone(), tap, values));
            logits.copy_from_slice(workspace.output(program));
            progress(count);
        },
    );
    logits
}

/// Number of images whose label is the top class (see [`top_class`]).
///
/// **Shapes**: `logits` `[images, classes]`, `labels` `[images]`.
pub fn count_correct(logits: &[f32], labels: &[u8]) -> u64 {
    let outputs = logits.chunks_exact(logits.len() / labels.len());
    let correct =
        outputs.zip(labels).filter(|(logits, label)| top_class(logits) == Some(usize::from(**label)));
    correct.count() as u64
}

/// The class of the largest logit, the first of several equal ones; `None` if any logit is NaN: such an output names no class.
pub fn top_class(logits: &[f32]) -> Option<usize> {
    let mut top = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if logit > logits[top] {
            top = class;
        }
    }
    Some(top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_class_is_the_first_largest_and_never_a_guess() {
        assert_eq!(top_class(&[0.0, 2.0, 2.0]), Some(1));
        assert_eq!(top_class(&[f32::NEG_INFINITY, f32::INFINITY]), Some(1));
        assert_eq!(top_class(&[1.0, f32::NAN, 5.0]), None);
        assert_eq!(top_class(&[f32::NAN, 1.0]), None);
    }
}
