//! The folder of a training run.
//!
//! | file | holds |
//! |---|---|
//! | `recipe.toml` | the recipe, with nothing left to defaults of other files |
//! | `history.jsonl` | one line an epoch |
//! | `checkpoint.safetensors` | from where a stopped run goes on |
//! | `models/phase-N-best.safetensors` | the network of phase N's best epoch |
//! | `models/epoch-N.safetensors` | the network after epoch N, if asked for |
//! | `model.safetensors` | the best network of the last phase |
//! | `last.safetensors` | the network after the last epoch |
//! | `NETWORK.storage.toml` beside a network | `[[storage]]` entries for a campaign, with the ranges that training had found, if the phase stores anything |
//! | `result.json` | what became of it |

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use temper_core::memory::StorageSpec;
use temper_core::network::Model;
use temper_core::write_atomically;

use super::error::TrainError;
use super::record::EpochRecord;
use super::verdict::Verdict;
use crate::recipe::RecipeSpec;

const RECIPE: &str = "recipe.toml";
const HISTORY: &str = "history.jsonl";
/// How the files of a network end, behind its name.
const MODEL: &str = "safetensors";
const STORAGE: &str = "storage.toml";
const CHECKPOINT: &str = "checkpoint.safetensors";

/// What became of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingResult {
    /// Whether it worked.
    pub verdict: Verdict,
    /// Of each phase that was begun.
    pub phases: Vec<PhaseResult>,
}

/// What became of a phase. Accuracies are on the images that choose the best epoch, of the network as the phase stores it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseResult {
    /// What it is called.
    pub name: String,
    /// Accuracy before its first step.
    pub start_accuracy: f64,
    /// The best accuracy.
    pub best_accuracy: f64,
    /// The first epoch of the phase that has it, from 1.
    pub best_epoch: usize,
    /// Test accuracy of that epoch.
    pub best_test_accuracy: f64,
    /// Test accuracy after the last epoch.
    pub last_test_accuracy: f64,
    /// Epochs made.
    pub epochs: usize,
    /// Time taken by them.
    pub seconds: f64,
}

impl TrainingResult {
    pub(super) fn new(
        recipe: &RecipeSpec,
        verdict: Verdict,
        starts: &[f64],
        history: &[EpochRecord],
    ) -> Self {
        let phases =
            recipe.phases.iter().zip(starts).enumerate().filter_map(|(i, (spec, &start_accuracy))| {
                let records: Vec<&EpochRecord> =
                    history.iter().filter(|record| record.phase == i + 1).collect();
                let last = records.last()?;
                let better = |best: &'_ &EpochRecord, new: &&EpochRecord| {
                    new.choosing_accuracy() > best.choosing_accuracy()
                };
                let best = records
                    .iter()
                    .copied()
                    .reduce(|best, new| if better(&best, &new) { new } else { best })?;
                Some(PhaseResult {
                    name: spec.title(i + 1),
                    start_accuracy,
                    best_accuracy: best.choosing_accuracy(),
                    best_epoch: best.epoch_of_phase,
                    best_test_accuracy: best.test_accuracy,
                    last_test_accuracy: last.test_accuracy,
                    epochs: records.len(),
                    seconds: records.iter().map(|record| record.seconds).sum(),
                })
            });
        Self { verdict, phases: phases.collect() }
    }
}

/// The folder of a training run.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder of a new run, or finds that of a run of the same recipe. A folder with anything else in it is left as it is.
    ///
    /// # Errors
    /// When it cannot be made, or holds another recipe's run or other files.
    pub fn open(path: &Path, recipe: &RecipeSpec) -> Result<Self, TrainError> {
        let folder = Self { path: path.to_owned() };
        if !folder.holds(recipe)? {
            folder.begin(recipe)?;
        }
        let models = folder.path.join("models");
        fs::create_dir_all(&models).map_err(|source| TrainError::Write { path: models, source })?;
        Ok(folder)
    }

    /// Finds the folder of a run to be gone on with.
    ///
    /// # Errors
    /// When there is none, or it holds another recipe's run.
    pub fn find(path: &Path, recipe: &RecipeSpec) -> Result<Self, TrainError> {
        let folder = Self { path: path.to_owned() };
        if !folder.holds(recipe)? {
            return Err(folder.refused("holds no training to go on with; begin one without --resume"));
        }
        Self::open(path, recipe)
    }

    /// Whether it holds a run of this recipe; `false` if it holds none at all.
    fn holds(&self, recipe: &RecipeSpec) -> Result<bool, TrainError> {
        let path = self.path.join(RECIPE);
        match fs::read(&path) {
            Ok(found) => {
                let found = String::from_utf8(found).ok().and_then(|text| RecipeSpec::parse(&text).ok());
                let other = "holds a training by another recipe; give another folder with -o";
                if found.as_ref() == Some(recipe) { Ok(true) } else { Err(self.refused(other)) }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(TrainError::Read { path, source }),
        }
    }

    /// Makes the folder of a new run, which must be empty if it is there.
    fn begin(&self, recipe: &RecipeSpec) -> Result<(), TrainError> {
        let io = |source| TrainError::Write { path: self.path.clone(), source };
        fs::create_dir_all(&self.path).map_err(io)?;
        for entry in fs::read_dir(&self.path).map_err(io)? {
            // A killed process may have left an unfinished, hidden file.
            if !entry.map_err(io)?.file_name().to_string_lossy().starts_with('.') {
                return Err(
                    self.refused("holds files, but no training; give a new or an empty folder with -o")
                );
            }
        }
        let text = toml::to_string(recipe).expect("a recipe that was read can be written");
        self.write(RECIPE, text.as_bytes())
    }

    fn refused(&self, reason: &str) -> TrainError {
        TrainError::Folder { path: self.path.clone(), reason: reason.to_owned() }
    }

    /// Whether it holds a run that can be gone on with.
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoint().exists()
    }

    /// Where its checkpoint is.
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, name: &str) -> Result<String, TrainError> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|source| TrainError::Read { path, source })
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), TrainError> {
        let path = self.path.join(name);
        write_atomically(&path, content).map_err(|source| TrainError::Write { path, source })
    }

    /// Writes a network, and how it is stored.
    fn save(&self, name: &str, kept: &Kept) -> Result<(), TrainError> {
        if let Some(storage) = &kept.storage {
            self.write(&format!("{name}.{STORAGE}"), storage.as_bytes())?;
        }
        Ok(kept.model.save(&self.path.join(format!("{name}.{MODEL}")))?)
    }

    /// The network of the best epoch of a phase, from 1.
    pub(super) fn best(&self, phase: usize) -> Result<Model, TrainError> {
        Ok(Model::load(&self.path.join(format!("{}.{MODEL}", best_name(phase))))?)
    }

    pub(super) fn write_best(&self, phase: usize, kept: &Kept) -> Result<(), TrainError> {
        self.save(&best_name(phase + 1), kept)
    }

    pub(super) fn write_epoch(&self, epoch: usize, kept: &Kept) -> Result<(), TrainError> {
        self.save(&format!("models/epoch-{epoch}"), kept)
    }

    pub(super) fn write_history(&self, history: &[EpochRecord]) -> Result<(), TrainError> {
        let lines = history.iter().map(|record| serde_json::to_string(record).expect("plain data") + "\n");
        self.write(HISTORY, lines.collect::<String>().as_bytes())
    }

    /// Writes what a finished run leaves.
    pub(super) fn write_result(&self, result: &TrainingResult, last: &Kept) -> Result<(), TrainError> {
        self.save("last", last)?;
        let phase = result.phases.len();
        let storage = match &last.storage {
            Some(_) => Some(self.read(&format!("{}.{STORAGE}", best_name(phase)))?),
            None => None,
        };
        self.save("model", &Kept { model: self.best(phase)?, storage })?;
        let mut text = serde_json::to_vec_pretty(result).expect("plain data");
        text.push(b'\n');
        self.write("result.json", &text)
    }
}

/// A network to be kept, and how its phase stores it.
pub(super) struct Kept {
    model: Model,
    /// As a campaign's entries; `None` if it stores nothing.
    storage: Option<String>,
}

impl Kept {
    pub(super) fn new(model: Model, storage: &[StorageSpec]) -> Self {
        #[derive(Serialize)]
        struct Entries<'a> {
            storage: &'a [StorageSpec],
        }
        let text = || toml::to_string(&Entries { storage }).expect("what was read can be written");
        let storage = (!storage.is_empty()).then(text);
        Self { model, storage }
    }
}

fn best_name(phase: usize) -> String {
    format!("models/phase-{phase}-best")
}
