//! A study: a network is trained, put on chips of analog hardware, and repaired on each of them.
//!
//! For every condition and chip the accuracy is recorded without and with each repair (Table 2 of "ACIMS: analog CIM simulator for DNN
//! resilience", Electronics 2022: golden, stricken, adjusted), so that repairs are compared on the same chips. Records are written as they
//! come; the same study in the same folder goes on where it was stopped.
//!
//! | file | holds |
//! |---|---|
//! | `study.toml` | the study |
//! | `golden/` | the training of the golden network |
//! | `retraining/condition-C/chip-S/` | the training on a chip, from which curves over epochs come |
//! | `retraining/condition-C/many-chips/` | the training on many chips |
//! | `records.jsonl` | a line for every condition, chip and repair |

mod bench;
mod error;
mod record;
mod spec;
mod summary;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use temper_core::hardware::Hardware;
use temper_core::write_atomically;

use crate::device::Device;
use crate::training::{Ended, EpochRecord, Folder, Observer, Prepared, TrainError, Training};
use bench::{Bench, Golden};
pub use error::StudyError;
use record::Records;
pub use record::StudyRecord;
pub use spec::{ChipsSpec, Repair, RepairSpec, StudyCondition, StudySpec};
pub use summary::{RepairSummary, StudySummary};

const SPEC: &str = "study.toml";
const RECORDS: &str = "records.jsonl";

/// Told what happens in a study; called from all threads.
pub trait StudyObserver: Sync {
    /// What to tell of the golden network's training.
    fn golden(&self) -> &dyn Observer;
    /// An epoch of a retraining ended.
    fn epoch(&self);
    /// Something was measured on a chip.
    fn recorded(&self, _condition: &StudyCondition, _record: &StudyRecord) {}
    /// Whether to stop.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A study resolved against its data, ready to run.
#[derive(Debug)]
pub struct Study {
    spec: StudySpec,
    conditions: Vec<StudyCondition>,
    golden: Prepared,
}

impl Study {
    /// Loads what a study names: data from `data_dir`, a network's file from `base`, the study's folder.
    ///
    /// # Errors
    /// When anything does not exist, does not fit, or makes no sense.
    pub fn new(spec: StudySpec, base: &Path, data_dir: &Path) -> Result<Self, StudyError> {
        let golden =
            Prepared::new(spec.golden.clone(), base, data_dir).map_err(StudyError::training("[golden]"))?;
        let conditions = spec.conditions()?;
        let study = Self { spec, conditions, golden };
        study.check()?;
        Ok(study)
    }

    /// Checks that every repair can be made under every condition.
    fn check(&self) -> Result<(), StudyError> {
        let last = self.golden.recipe.phases.last().expect("a recipe has phases");
        for condition in &self.conditions {
            let place = |what: &str| match condition.label.as_str() {
                "" => what.to_owned(),
                label => format!("{what}, {label}"),
            };
            let on_chip = bench::on_chip(last, &last.storage, &condition.hardware, Some(1));
            self.golden.check_phase(&on_chip, 1).map_err(StudyError::training(place("[[hardware]]")))?;
            for (i, repair) in self.spec.repairs.iter().enumerate() {
                let (RepairSpec::Retraining { phase } | RepairSpec::ManyChips { phase }) = repair else {
                    continue;
                };
                let phase = bench::on_chip(phase, &last.storage, &condition.hardware, None);
                let what = place(&format!("repair {}", i + 1));
                self.golden.check_phase(&phase, 1).map_err(StudyError::training(what))?;
            }
        }
        Ok(())
    }

    /// What the user should know before chips are measured: what their devices cannot read.
    pub fn warnings(&self) -> Vec<String> {
        let of_condition = |condition: &StudyCondition| {
            let hardware = Hardware::new(&self.golden.network, &condition.hardware);
            hardware.map_or_else(|_| Vec::new(), |hardware| hardware.warnings())
        };
        let mut warnings: Vec<String> = self.conditions.iter().flat_map(of_condition).collect();
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// What it was made from.
    pub fn spec(&self) -> &StudySpec {
        &self.spec
    }

    /// Its conditions.
    pub fn conditions(&self) -> &[StudyCondition] {
        &self.conditions
    }

    /// The golden network's data and recipe.
    pub fn golden(&self) -> &Prepared {
        &self.golden
    }

    /// Epochs of all retrainings.
    pub fn epochs(&self) -> usize {
        let of_repair = |repair: &RepairSpec| match repair {
            RepairSpec::Retraining { phase } => phase.epochs * self.spec.chips.count as usize,
            RepairSpec::ManyChips { phase } => phase.epochs,
            RepairSpec::OffsetCalibration | RepairSpec::BatchNorm { .. } => 0,
        };
        self.conditions.len() * self.spec.repairs.iter().map(of_repair).sum::<usize>()
    }

    /// Runs it to the end, or goes on, in the folder `path`: the golden network's training on the current rayon pool, then as many chips at
    /// a time as that has threads.
    ///
    /// # Errors
    /// When the folder holds anything else, or a file cannot be read or written.
    pub fn run(
        &self,
        path: &Path,
        device: &Device,
        observer: &dyn StudyObserver,
    ) -> Result<Ended, StudyError> {
        self.open(path)?;
        let folder = path.join("golden");
        if train(&self.golden, &folder, device, observer.golden(), "[golden]")? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        let golden = Golden::load(&folder, &self.golden)?;
        let records = Records::open(&path.join(RECORDS))?;
        let bench = Bench { study: self, path, device, golden: &golden, records: &records, observer };
        let many = self.spec.repairs.iter().find_map(|repair| match repair {
            RepairSpec::ManyChips { phase } => Some(phase),
            _ => None,
        });
        if let Some(phase) = many {
            on_all_threads(self.conditions.len(), observer, |condition| {
                bench.train_on_many(condition, phase)
            })?;
        }
        let chips: Vec<u64> = self.spec.chips.seeds().collect();
        // Chip after chip, so that a study that is stopped has chips of every condition.
        let tasks = chips.len() * self.conditions.len();
        on_all_threads(tasks, observer, |task| {
            bench.chip(task % self.conditions.len(), chips[task / self.conditions.len()])
        })?;
        Ok(if observer.is_cancelled() { Ended::Stopped } else { Ended::Complete })
    }

    /// Makes the study's folder, or finds it.
    fn open(&self, path: &Path) -> Result<(), StudyError> {
        let file = path.join(SPEC);
        let refused = |reason: &str| {
            StudyError::from(TrainError::Folder { path: path.to_owned(), reason: reason.to_owned() })
        };
        match fs::read_to_string(&file) {
            Ok(text) if StudySpec::parse(&text).is_ok_and(|found| found == self.spec) => return Ok(()),
            Ok(_) => return Err(refused("holds another study; give another folder with -o")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(StudyError::from(TrainError::Read { path: file, source })),
        }
        let write = |path: PathBuf| move |source| StudyError::from(TrainError::Write { path, source });
        fs::create_dir_all(path).map_err(write(path.to_owned()))?;
        let mut entries = fs::read_dir(path).map_err(write(path.to_owned()))?.flatten();
        // A killed process may have left an unfinished, hidden file.
        if entries.any(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
            return Err(refused("holds files, but no study; give a new or an empty folder with -o"));
        }
        let text = toml::to_string(&self.spec).expect("a study that was read can be written");
        write_atomically(&file, text.as_bytes()).map_err(write(file.clone()))
    }
}

impl StudySpec {
    /// What retraining did on each chip of a condition, from 0, that was begun in a study's folder, chip by chip.
    ///
    /// # Errors
    /// When a history cannot be read.
    pub fn histories(
        &self,
        path: &Path,
        condition: usize,
    ) -> Result<Vec<(u64, Vec<EpochRecord>)>, StudyError> {
        let folder = condition_folder(path, condition);
        let of_chip = |chip: u64| {
            let history = EpochRecord::read_all(&folder.join(format!("chip-{chip}/history.jsonl")))?;
            Ok((chip, history))
        };
        let histories: Result<Vec<_>, _> = self.chips.seeds().map(of_chip).collect();
        let histories = histories.map_err(StudyError::training("retraining"))?;
        Ok(histories.into_iter().filter(|(_, history)| !history.is_empty()).collect())
    }
}

/// Where the trainings on chips of a condition are.
fn condition_folder(path: &Path, condition: usize) -> PathBuf {
    path.join(format!("retraining/condition-{}", condition + 1))
}

/// Does tasks `0..tasks`, each on one thread, as many at a time as the current rayon pool has, until one fails or all shall stop.
fn on_all_threads(
    tasks: usize,
    observer: &dyn StudyObserver,
    task: impl Fn(usize) -> Result<(), StudyError> + Sync,
) -> Result<(), StudyError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let error = Mutex::new(None);
    let work = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be had");
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= tasks || observer.is_cancelled() || failed.load(Ordering::SeqCst) {
                return;
            }
            if let Err(reason) = pool.install(|| task(number)) {
                failed.store(true, Ordering::SeqCst);
                error.lock().expect("no thread panics with it").get_or_insert(reason);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(tasks) {
            scope.spawn(work);
        }
    });
    error.into_inner().expect("no thread panics with it").map_or(Ok(()), Err)
}

/// Trains to the end, or goes on, unless that was done before.
fn train(
    prepared: &Prepared,
    path: &Path,
    device: &Device,
    observer: &dyn Observer,
    what: &str,
) -> Result<Ended, StudyError> {
    let train = || {
        let folder = Folder::open(path, &prepared.recipe)?;
        let mut training = Training::new(prepared, device)?;
        if folder.has_checkpoint() {
            training.resume(&folder)?;
        }
        training.run(&folder, observer)
    };
    train().map_err(StudyError::training(what))
}
