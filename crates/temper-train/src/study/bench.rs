//! One chip on the bench: measured as it is, and after each repair.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;
use temper_core::execution::count_correct;
use temper_core::hardware::HardwareSpec;
use temper_core::memory::StorageSpec;
use temper_core::network::{Model, Network};

use super::error::StudyError;
use super::record::{Records, StudyRecord};
use super::spec::{Repair, RepairSpec};
use super::{Study, StudyObserver, condition_folder, train};
use crate::batches::epoch_order;
use crate::device::Device;
use crate::differentiable::{Differentiable, Parameters, Statistics};
use crate::recipe::{FaultDraws, KeepSpec, PhaseSpec, RecipeSpec};
use crate::stored::{Moment, Stored};
use crate::stream::EpochSeed;
use crate::training::{Ended, EpochRecord, Observer, Prepared, TrainError, TrainingResult};

/// The golden network.
pub(super) struct Golden {
    pub(super) model: Model,
    /// How it is stored, with the ranges that its training found.
    pub(super) storage: Vec<StorageSpec>,
}

/// Where chips are measured.
pub(super) struct Bench<'a> {
    pub(super) study: &'a Study,
    pub(super) path: &'a Path,
    pub(super) device: &'a Device,
    pub(super) golden: &'a Golden,
    pub(super) records: &'a Records,
    pub(super) observer: &'a dyn StudyObserver,
}

/// Epochs between two checkpoints of a retraining: each is a digest of all images.
const CHECKPOINT_EPOCHS: usize = 10;

/// Before the first step.
const START: Moment = Moment { phase: 0, epoch: 0, batch: 0 };

/// A phase, with everything on this hardware.
pub(super) fn on_chip(
    phase: &PhaseSpec,
    storage: &[StorageSpec],
    hardware: &[HardwareSpec],
    chip: Option<u64>,
) -> PhaseSpec {
    PhaseSpec { storage: storage.to_vec(), hardware: hardware.to_vec(), chip, ..phase.clone() }
}

impl Golden {
    /// The network of the best epoch.
    pub(super) fn load(folder: &Path, prepared: &Prepared) -> Result<Self, StudyError> {
        #[derive(Deserialize)]
        struct Entries {
            storage: Vec<StorageSpec>,
        }
        let failed = || StudyError::training("[golden]");
        let model = Model::load(&folder.join("model.safetensors")).map_err(|error| failed()(error.into()))?;
        let path = folder.join("model.storage.toml");
        let storage = match fs::read_to_string(&path) {
            Ok(text) => toml::from_str::<Entries>(&text).map_err(Box::new)?.storage,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(StudyError::from(TrainError::Read { path, source })),
        };
        debug_assert_eq!(model.network.nodes(), prepared.network.nodes());
        Ok(Self { model, storage })
    }
}

/// Tells nothing of a retraining but that epochs end.
struct Quiet<'a>(&'a dyn StudyObserver);

impl Observer for Quiet<'_> {
    fn epoch(&self, _record: &EpochRecord) {
        self.0.epoch();
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Bench<'_> {
    /// Measures a chip under a condition as it is, and after each repair that is not recorded yet.
    pub(super) fn chip(&self, condition: usize, chip: u64) -> Result<(), StudyError> {
        let hardware = &self.study.conditions[condition].hardware;
        let golden = &self.golden.model.network;
        self.record(condition, chip, Repair::Nothing, || Ok(self.accuracy(golden, hardware, chip)?.into()))?;
        for repair in &self.study.spec.repairs {
            if self.observer.is_cancelled() {
                return Ok(());
            }
            match repair {
                RepairSpec::OffsetCalibration => {
                    let hardware = self.study.conditions[condition].calibrated();
                    self.record(condition, chip, repair.repair(), || {
                        Ok(self.accuracy(golden, &hardware, chip)?.into())
                    })?;
                }
                RepairSpec::BatchNorm { images, batch_size } => {
                    self.record(condition, chip, repair.repair(), || {
                        let network = self.renormalised(hardware, chip, *images, *batch_size)?;
                        Ok(self.accuracy(&network, hardware, chip)?.into())
                    })?;
                }
                RepairSpec::Retraining { phase } => self.retrain(condition, chip, phase)?,
                RepairSpec::ManyChips { .. } => {
                    let path = self.folder(condition).join("many-chips");
                    self.record(condition, chip, repair.repair(), || {
                        Ok(self.accuracy(&load(&path)?, hardware, chip)?.into())
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Retrains on a chip, and measures the network on the next chip too.
    fn retrain(&self, condition: usize, chip: u64, phase: &PhaseSpec) -> Result<(), StudyError> {
        let hardware = &self.study.conditions[condition].hardware;
        let path = self.folder(condition).join(format!("chip-{chip}"));
        let phase = on_chip(phase, &self.golden.storage, hardware, Some(chip));
        let known = |repair, chip| self.is_recorded(condition, chip, repair);
        if !known(Repair::Retraining, chip) {
            let began = Instant::now();
            if self.train(phase, &path, &format!("chip {chip}"))? == Ended::Stopped {
                return Ok(());
            }
            let seconds = began.elapsed().as_secs_f64();
            self.record(condition, chip, Repair::Retraining, || Measured::of_training(&path, seconds))?;
        }
        let chips = self.study.spec.chips;
        let next = chips.seeds().skip_while(|seed| *seed != chip).nth(1).unwrap_or(chips.first);
        if next != chip && !known(Repair::OtherChip, next) {
            let network = load(&path)?;
            self.record(condition, next, Repair::OtherChip, || {
                Ok(self.accuracy(&network, hardware, next)?.into())
            })?;
        }
        Ok(())
    }

    /// Retrains on a new chip for every batch.
    pub(super) fn train_on_many(&self, condition: usize, phase: &PhaseSpec) -> Result<(), StudyError> {
        let hardware = &self.study.conditions[condition].hardware;
        let phase = on_chip(phase, &self.golden.storage, hardware, None);
        let phase = PhaseSpec { fault_draws: FaultDraws::Batch, ..phase };
        self.train(phase, &self.folder(condition).join("many-chips"), "retraining on many chips")?;
        Ok(())
    }

    fn train(&self, phase: PhaseSpec, path: &Path, what: &str) -> Result<Ended, StudyError> {
        let golden = &self.study.golden;
        let keep = KeepSpec { checkpoint_epochs: CHECKPOINT_EPOCHS, ..golden.recipe.keep };
        let recipe = RecipeSpec { phases: vec![phase], keep, ..golden.recipe.clone() };
        let prepared = Prepared {
            recipe,
            network: self.golden.model.network.clone(),
            preprocessing: golden.preprocessing.clone(),
            train: golden.train.clone(),
            validation: golden.validation.clone(),
            test: golden.test.clone(),
        };
        train(&prepared, path, self.device, &Quiet(self.observer), what)
    }

    fn folder(&self, condition: usize) -> PathBuf {
        condition_folder(self.path, condition)
    }

    fn is_recorded(&self, condition: usize, chip: u64, repair: Repair) -> bool {
        self.records.known().iter().any(|record| record.key() == (condition, chip, repair))
    }

    /// Records what `measure` finds, unless it is recorded already.
    fn record(
        &self,
        condition: usize,
        chip: u64,
        repair: Repair,
        measure: impl FnOnce() -> Result<Measured, StudyError>,
    ) -> Result<(), StudyError> {
        if self.is_recorded(condition, chip, repair) {
            return Ok(());
        }
        let began = Instant::now();
        let Measured { accuracy, epoch, last_accuracy, seconds } = measure()?;
        let seconds = seconds.unwrap_or_else(|| began.elapsed().as_secs_f64());
        let record = StudyRecord { condition, chip, repair, accuracy, epoch, last_accuracy, seconds };
        self.records.add(&record)?;
        self.observer.recorded(&self.study.conditions[condition], &record);
        Ok(())
    }

    /// How a chip stores and computes a network.
    fn stored(&self, hardware: &[HardwareSpec], chip: u64) -> Result<Stored, StudyError> {
        let recipe = &self.study.golden.recipe;
        let last = recipe.phases.last().expect("a recipe has phases");
        let phase = on_chip(last, &self.golden.storage, hardware, Some(chip));
        Stored::new(recipe.seed, &self.golden.model.network, &phase)
            .map_err(|source| TrainError::Stored { number: 1, source })
            .map_err(StudyError::training("[[hardware]]"))
    }

    /// Test accuracy of a network on a chip.
    fn accuracy(&self, network: &Network, hardware: &[HardwareSpec], chip: u64) -> Result<f64, StudyError> {
        let Prepared { preprocessing, test, .. } = &self.study.golden;
        let inputs = preprocessing.bind(test, network.input_shape()).expect("checked with the recipe");
        let deployed = self.stored(hardware, chip)?.deployed(network.clone(), START);
        let correct = count_correct(&deployed.logits(&inputs), test.labels());
        Ok(correct as f64 / test.len() as f64)
    }

    /// The golden network with its batch norms' running statistics found again on a chip, over batches of random training images: the
    /// mean of the batches' statistics.
    fn renormalised(
        &self,
        hardware: &[HardwareSpec],
        chip: u64,
        images: usize,
        batch_size: usize,
    ) -> Result<Network, StudyError> {
        let Prepared { recipe, preprocessing, train, .. } = &self.study.golden;
        let network = &self.golden.model.network;
        let inputs = preprocessing.bind(train, network.input_shape()).expect("checked with the recipe");
        let stored = self.stored(hardware, chip)?;
        let function = Differentiable::new(network, self.device);
        let mut parameters = Parameters::of(network);
        let nothing = vec![false; parameters.values.len()];
        let order = epoch_order(train.len(), EpochSeed { seed: recipe.seed, phase: 0, epoch: 0 });
        for (batch, images) in order[..images.min(order.len())].chunks_exact(batch_size).enumerate() {
            let held = stored.hold(network, &parameters, Moment { batch, ..START }, images);
            let mut pixels = vec![0.0; images.len() * network.input_shape().iter().product::<usize>()];
            inputs.fill(images.iter().copied(), &mut pixels);
            let input = function.upload(pixels, images.len());
            let forward = stored.forward(&function, &held, &nothing, &input, Statistics::Batch, &[]);
            parameters.follow(&forward.moments, 1.0 / (batch + 1) as f32);
        }
        Ok(parameters.into_network(network.clone()))
    }
}

/// What was found of a chip.
struct Measured {
    accuracy: f64,
    epoch: Option<usize>,
    last_accuracy: Option<f64>,
    seconds: Option<f64>,
}

impl From<f64> for Measured {
    fn from(accuracy: f64) -> Self {
        Self { accuracy, epoch: None, last_accuracy: None, seconds: None }
    }
}

impl Measured {
    /// What a finished retraining found.
    fn of_training(folder: &Path, seconds: f64) -> Result<Self, StudyError> {
        let path = folder.join("result.json");
        let damaged = |source| StudyError::from(TrainError::Read { path: path.clone(), source });
        let text = fs::read(&path).map_err(damaged)?;
        let result: TrainingResult = serde_json::from_slice(&text).map_err(|error| damaged(error.into()))?;
        let phase = result.phases.last().expect("a finished training has made a phase");
        Ok(Self {
            accuracy: phase.best_test_accuracy,
            epoch: Some(phase.best_epoch),
            last_accuracy: Some(phase.last_test_accuracy),
            seconds: Some(seconds),
        })
    }
}

/// The best network of a finished training.
fn load(folder: &Path) -> Result<Network, StudyError> {
    let model = Model::load(&folder.join("model.safetensors"));
    Ok(model.map_err(|error| StudyError::training(folder.display().to_string())(error.into()))?.network)
}
