//! Trust: trials again, by brute force.

use rayon::prelude::*;
use thiserror::Error;

use super::armed::Armed;
use super::chip::TrialChip;
use super::chunk::Part;
use super::resolved::Campaign;
use super::variant::Struck;
use crate::execution::{Workspace, chunk_size, top_class};
use crate::fault::{FaultSite, changes, strike};

/// A trial came out otherwise by brute force: a defect of the program, or of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "trial {trial} (condition {condition}, draw {draw}) puts image {image} into {}, but by brute force into {}: please report this",
    named(*found),
    named(*expected)
)]
pub struct Mismatch {
    /// The trial.
    pub trial: u64,
    /// Its condition.
    pub condition: usize,
    /// Its number within the condition.
    pub draw: u64,
    /// The image.
    pub image: usize,
    /// The top class as found by the engine; `None` for an output with a NaN.
    pub found: Option<u8>,
    /// The top class by brute force.
    pub expected: Option<u8>,
}

fn named(class: Option<u8>) -> String {
    class.map_or_else(|| "no class".to_owned(), |class| format!("class {class}"))
}

/// Whether the trial of this id is among the `share` that is verified: a share of any run of consecutive ids (Weyl's sequence of the
/// golden ratio).
fn is_chosen(trial: u64, share: f64) -> bool {
    let place = trial.wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / 2.0f64.powi(64);
    place < share
}

impl Campaign<'_> {
    /// Runs a share of the trials by brute force and compares every image's top class.
    pub(super) fn verify(&self, armed: &[Armed], parts: &[Part], share: f64) -> Result<(), Mismatch> {
        let mut chosen = armed.iter().zip(parts).filter(|(armed, _)| is_chosen(armed.trial.id, share));
        chosen.try_for_each(|(armed, part)| self.verify_trial(armed, part))
    }

    fn verify_trial(&self, armed: &Armed, part: &Part) -> Result<(), Mismatch> {
        let chunk = if armed.anew { 1 } else { chunk_size(&self.variant_of(armed.trial).program) };
        let images = armed.images_in(0..self.images());
        let chip = self.chip_of(armed.trial, &armed.changes);
        let brute_force = |images| self.brute_force(armed, chip.as_ref(), images);
        let expected: Vec<Option<u8>> = images.par_chunks(chunk).flat_map_iter(brute_force).collect();
        let pairs = part.predictions.iter().zip(&expected);
        match images.iter().zip(pairs).find(|(_, (found, expected))| found != expected) {
            None => Ok(()),
            Some((&image, (&found, &expected))) => {
                let trial = armed.trial;
                let (condition, draw) = (trial.condition, trial.draw);
                Err(Mismatch { trial: trial.id, condition, draw, image, found, expected })
            }
        }
    }

    /// The top classes of some images under a trial: with parameters of their own, through the whole network, on its chip if it has one.
    fn brute_force(&self, armed: &Armed, chip: Option<&TrialChip>, images: &[usize]) -> Vec<Option<u8>> {
        let variant = self.variant_of(armed.trial);
        let program = &variant.program;
        let of_image = |&image: &usize| self.sites_of_image(armed.trial, &armed.faults, image as u64);
        let sites: Vec<Vec<FaultSite>> = images.iter().map(of_image).collect();
        let mut weights = variant.weights.clone();
        // Where parameters are struck anew for every image, there is one image.
        strike(&changes(&variant.memory, &sites[0]), &mut weights);
        if let Some(chip) = chip {
            chip.mount(&mut weights);
        }
        let mut workspace = Workspace::new(program);
        self.inputs.fill(images.iter().copied(), workspace.input_mut(program, images.len()));
        workspace.number(images.iter().copied());
        program.run_with(&weights, &mut workspace, &mut variant.touch(Struck::Each(&sites)));
        let outputs = workspace.output(program).chunks_exact(program.output_len());
        outputs.map(|output| top_class(output).map(|class| class as u8)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_trials_is_chosen() {
        let chosen = |share: f64| (1_000..11_000).filter(|&trial| is_chosen(trial, share)).count();
        assert_eq!(chosen(0.0), 0);
        assert_eq!(chosen(1.0), 10_000);
        assert!(chosen(0.01).abs_diff(100) <= 2, "{}", chosen(0.01));
        assert!(chosen(0.5).abs_diff(5_000) <= 2, "{}", chosen(0.5));
    }
}
