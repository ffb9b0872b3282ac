//! A training run: epochs, records, checkpoints, and what became of it.
//!
//! Everything a step does is a pure function of the recipe, the data and the step's place in the training: results do not depend on
//! the number of threads, and a training that was stopped goes on bit for bit as if it had not been.

mod awake;
mod checkpoint;
mod error;
mod folder;
mod phase;
mod prepared;
mod record;
mod resume;
mod step;
mod verdict;

use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use temper_core::data::{Dataset, Inputs};
use temper_core::execution::{count_correct, top_class};
use temper_core::network::{Model, Network, NodeId, Op};

pub use checkpoint::CheckpointError;
pub use error::TrainError;
pub use folder::{Folder, PhaseResult, TrainingResult};
pub use prepared::Prepared;
pub use record::{ActivationStatistics, EpochRecord, LayerStatistics, WeightStatistics};
pub use verdict::{Verdict, judge};

use crate::differentiable::{Differentiable, Parameters};
use crate::recipe::{PhaseSpec, StartFrom};
use crate::stored::{Deployed, Moment};
use folder::Kept;
use phase::Phase;
use record::weight_statistics;

/// Told what happens in a training; called from the thread that trains.
pub trait Observer: Sync {
    /// A phase begins or goes on.
    fn phase(&self, _number: usize, _spec: &PhaseSpec) {}
    /// So many of an epoch's images were trained on, with this mean loss and this accuracy so far.
    fn batch(&self, _epoch: usize, _images: usize, _loss: f64, _accuracy: f64) {}
    /// An epoch ended.
    fn epoch(&self, _record: &EpochRecord) {}
    /// Whether to stop at the next step.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All epochs were made, or the loss became no number.
    Complete,
    /// It was stopped; a checkpoint is written.
    Stopped,
}

/// What an epoch has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Progress {
    /// Epochs done, over all phases.
    epochs: usize,
    /// Steps done of the epoch.
    batches: usize,
    /// Images trained on in it.
    images: usize,
    /// Sum of their losses.
    loss: f64,
    /// How many were classified rightly.
    correct: u64,
    /// Time taken.
    seconds: f64,
}

/// A training on its way.
pub struct Training<'a> {
    prepared: &'a Prepared,
    function: Differentiable,
    parameters: Parameters,
    progress: Progress,
    history: Vec<EpochRecord>,
    /// Accuracy on the choosing images at the start of each phase begun.
    starts: Vec<f64>,
    phase: Phase,
}

impl<'a> Training<'a> {
    /// A training that has not begun, on a device.
    ///
    /// # Errors
    /// When a phase does not fit the network.
    pub fn new(prepared: &'a Prepared, device: &Device) -> Result<Self, TrainError> {
        let parameters = Parameters::of(&prepared.network);
        let phase = Phase::new(prepared, 0)?;
        let function = Differentiable::new(&prepared.network, device);
        let (progress, history, starts) = (Progress::default(), Vec::new(), Vec::new());
        Ok(Self { prepared, function, parameters, progress, history, starts, phase })
    }

    /// Trains to the end and keeps everything in `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn run(&mut self, folder: &Folder, observer: &dyn Observer) -> Result<Ended, TrainError> {
        if self.is_over() {
            // A run that ended between its last checkpoint and this, or whose files were lost or damaged since.
            folder.write_result(&self.result(), &self.kept())?;
        }
        let mut announced = None;
        while !self.is_over() {
            self.enter_phase(folder)?;
            if announced != Some(self.phase.number) {
                observer.phase(self.phase.number + 1, self.spec());
                announced = Some(self.phase.number);
            }
            if !self.epoch(observer) {
                self.write_checkpoint(folder)?;
                return Ok(Ended::Stopped);
            }
            let record = self.end_epoch(folder)?;
            observer.epoch(&record);
        }
        Ok(Ended::Complete)
    }

    /// Whether all epochs are made, or the loss became no number.
    fn is_over(&self) -> bool {
        let lost = self.history.last().is_some_and(|record| !record.train_loss.is_finite());
        lost || self.progress.epochs == self.prepared.recipe.epochs()
    }

    fn spec(&self) -> &'a PhaseSpec {
        &self.prepared.recipe.phases[self.phase.number]
    }

    /// Epochs of the phases before the current one.
    fn epochs_before(&self) -> usize {
        self.prepared.recipe.phases[..self.phase.number].iter().map(|phase| phase.epochs).sum()
    }

    /// The current epoch of the phase, from 0.
    fn epoch_of_phase(&self) -> usize {
        self.progress.epochs - self.epochs_before()
    }

    /// Enters the phase to which the next epoch belongs, and measures where it starts.
    fn enter_phase(&mut self, folder: &Folder) -> Result<(), TrainError> {
        if self.epoch_of_phase() == self.spec().epochs {
            self.phase = Phase::new(self.prepared, self.phase.number + 1)?;
            if self.spec().start_from == StartFrom::Best {
                let best = folder.best(self.phase.number)?;
                self.parameters = Parameters::of(&best.network);
            }
        }
        if self.starts.len() == self.phase.number {
            let accuracy = self.start_accuracy();
            self.starts.push(accuracy);
        }
        Ok(())
    }

    /// Accuracy on the choosing images before the phase's first step. Its batches find ranges of activations of their own.
    fn start_accuracy(&mut self) -> f64 {
        let found = self.phase.stored.ranges().to_vec();
        let images = self.prepared.train.len().min(CALIBRATION_IMAGES);
        let inputs = self.inputs(&self.prepared.train);
        self.phase.stored.calibrate(self.network(), &inputs, images);
        let accuracy = self.measure(&self.deployed(), self.prepared.choosing()).1;
        let is_restored = self.phase.stored.set_ranges(&found);
        debug_assert!(is_restored, "they were there before");
        accuracy
    }

    /// Trains for the rest of an epoch; `false` if it was stopped.
    fn epoch(&mut self, observer: &dyn Observer) -> bool {
        let began = Instant::now();
        let before = self.progress.seconds;
        let epoch = self.epoch_of_phase();
        let inputs = self.inputs(&self.prepared.train);
        let batches = self.phase.batches(self.prepared, epoch);
        while let Some(images) = batches.get(self.progress.batches) {
            let step = self.step(&inputs, images);
            let progress = &mut self.progress;
            progress.batches += 1;
            progress.images += images.len();
            progress.loss += step.loss * images.len() as f64;
            progress.correct += step.correct;
            progress.seconds = before + began.elapsed().as_secs_f64();
            let seen = progress.images as f64;
            observer.batch(
                progress.epochs + 1,
                progress.images,
                progress.loss / seen,
                progress.correct as f64 / seen,
            );
            if !step.loss.is_finite() {
                return true;
            }
            if observer.is_cancelled() && progress.batches < batches.len() {
                return false;
            }
        }
        true
    }

    /// Measures and records what an epoch made.
    fn end_epoch(&mut self, folder: &Folder) -> Result<EpochRecord, TrainError> {
        let began = Instant::now();
        let epoch_of_phase = self.epoch_of_phase();
        let deployed = self.deployed();
        let (test_loss, test_accuracy) = self.measure(&deployed, &self.prepared.test);
        let validation = self.prepared.validation.as_ref().map(|images| self.measure(&deployed, images));
        let (weights, layers) = weight_statistics(&self.parameters);
        let Progress { epochs, images, loss, correct, seconds, .. } = self.progress;
        let mut record = EpochRecord {
            phase: self.phase.number + 1,
            epoch: epochs + 1,
            epoch_of_phase: epoch_of_phase + 1,
            lr: self.phase.lr(epoch_of_phase, 0),
            train_loss: loss / images as f64,
            train_accuracy: correct as f64 / images as f64,
            validation_loss: validation.map(|(loss, _)| loss),
            validation_accuracy: validation.map(|(_, accuracy)| accuracy),
            test_loss,
            test_accuracy,
            seconds: 0.0,
            weights,
            layers,
            activations: self.sparsity(&deployed),
        };
        let (loss, accuracy) = validation.unwrap_or((test_loss, test_accuracy));
        self.phase.after_epoch(epoch_of_phase, self.spec().schedule.metric(loss, accuracy));
        record.seconds = seconds + began.elapsed().as_secs_f64();
        let of_phase = self.history.iter().filter(|known| known.phase == record.phase);
        let best = of_phase.map(EpochRecord::choosing_accuracy).fold(f64::NEG_INFINITY, f64::max);
        if record.choosing_accuracy() > best {
            folder.write_best(self.phase.number, &self.kept())?;
        }
        self.history.push(record.clone());
        self.progress = Progress { epochs: epochs + 1, ..Progress::default() };
        folder.write_history(&self.history)?;
        let keep = self.prepared.recipe.keep;
        if keep.model_epochs > 0 && (epochs + 1).is_multiple_of(keep.model_epochs) {
            folder.write_epoch(epochs + 1, &self.kept())?;
        }
        let last = self.is_over();
        if last {
            folder.write_result(&self.result(), &self.kept())?;
        }
        if last || (epochs + 1).is_multiple_of(keep.checkpoint_epochs) {
            self.write_checkpoint(folder)?;
        }
        Ok(record)
    }

    /// The network as it is now, with its preprocessing.
    pub fn model(&self) -> Model {
        Model { network: self.network(), preprocessing: self.prepared.preprocessing.clone() }
    }

    fn kept(&self) -> Kept {
        Kept::new(self.model(), &self.phase.storage(self.spec()))
    }

    fn network(&self) -> Network {
        self.parameters.clone().into_network(self.prepared.network.clone())
    }

    /// What was recorded so far.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// What became of the training.
    pub fn result(&self) -> TrainingResult {
        let choosing = self.prepared.choosing();
        let mut counts = vec![0usize; choosing.classes()];
        for &label in choosing.labels() {
            counts[usize::from(label)] += 1;
        }
        let most = counts.into_iter().max().unwrap_or(0);
        let chance = most as f64 / choosing.len() as f64;
        let verdict = judge(&self.history, chance, choosing.len());
        TrainingResult::new(&self.prepared.recipe, verdict, &self.starts, &self.history)
    }

    fn inputs<'d>(&self, data: &'d Dataset) -> Inputs<'d> {
        let shape = self.prepared.network.input_shape();
        self.prepared.preprocessing.bind(data, shape).expect("checked when the recipe was prepared")
    }

    /// The network on the phase's chip, as it is now.
    fn deployed(&self) -> Deployed {
        self.phase.stored.deployed(self.network(), self.moment(0))
    }

    /// The place of a step of the current epoch.
    fn moment(&self, batch: usize) -> Moment {
        Moment { phase: self.phase.number, epoch: self.epoch_of_phase(), batch }
    }

    /// Mean cross-entropy and accuracy.
    fn measure(&self, deployed: &Deployed, data: &Dataset) -> (f64, f64) {
        let logits = deployed.logits(&self.inputs(data));
        let classes = logits.len() / data.len();
        let loss = |(logits, &label): (&[f32], &u8)| cross_entropy(logits, usize::from(label));
        let sum: f64 = logits.chunks_exact(classes).zip(data.labels()).map(loss).sum();
        let correct = count_correct(&logits, data.labels());
        (sum / data.len() as f64, correct as f64 / data.len() as f64)
    }

    /// How sparse the outputs of all nonlinearities are, on the first test images.
    fn sparsity(&self, deployed: &Deployed) -> Vec<ActivationStatistics> {
        let network = &self.prepared.network;
        let is_nonlinear = |op: &Op| matches!(op, Op::Relu | Op::Clip { .. } | Op::LeakyRelu { .. });
        let nodes = (0..network.nodes().len()).map(NodeId);
        let nodes: Vec<NodeId> = nodes.filter(|&id| is_nonlinear(&network.node(id).op)).collect();
        let images = self.prepared.test.len().min(SPARSITY_IMAGES);
        let shares = deployed.zero_shares(&self.inputs(&self.prepared.test), images, &nodes);
        let named = nodes.into_iter().zip(shares);
        named
            .map(|(id, zero_share)| ActivationStatistics { node: network.node(id).name.clone(), zero_share })
            .collect()
    }
}

/// Training images from which ranges of activations are found before training finds them.
const CALIBRATION_IMAGES: usize = 128;

/// Test images on which the sparsity of activations is measured.
const SPARSITY_IMAGES: usize = 128;

/// `log Σ e^logit − logit of the label`.
fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    sum.ln() - f64::from(logits[label] - largest)
}

/// How many outputs of a batch name their label.
fn count_labels(logits: &[f32], labels: &[u8]) -> u64 {
    let outputs = logits.chunks_exact(logits.len() / labels.len());
    outputs.zip(labels).filter(|(logits, label)| top_class(logits) == Some(usize::from(**label))).count()
        as u64
}
