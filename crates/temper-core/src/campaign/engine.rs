//! Running trials.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Instant;

use rayon::prelude::*;
use thiserror::Error;

use super::identity::Identity;
use super::outcome::Outcomes;
use super::plan::{Plan, Trial};
use super::record::TrialRecord;
use super::spec::{CampaignSpec, SpecError};
use crate::data::{Dataset, Inputs, Preprocessing, PreprocessingError};
use crate::execution::{
    ClassesError, Program, StepId, Weights, Workspace, chunk_size, count_correct, logits,
};
use crate::fault::{Fault, FaultDraw, FaultError, trial_stream};
use crate::network::{Network, Op};

/// A campaign resolved against a network and a data set, ready to run.
#[derive(Debug)]
pub struct Campaign<'a> {
    identity: Identity,
    plan: Plan,
    seed: u64,
    /// The faults of each condition.
    faults: Vec<Vec<Fault>>,
    program: Program,
    weights: Weights,
    inputs: Inputs<'a>,
    /// Whether the network's outputs are probabilities already.
    probabilities: bool,
}

/// Why a campaign cannot run.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// The specification makes no sense by itself.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A fault does not fit the network.
    #[error("fault {number}, {condition}")]
    Fault {
        /// Which `[[fault]]`, from 1.
        number: usize,
        /// Which condition, such as `count = 27`.
        condition: String,
        /// What is wrong.
        source: FaultError,
    },
    /// The images do not fit the network.
    #[error(transparent)]
    Data(#[from] PreprocessingError),
    /// The network has another number of outputs than the data has classes.
    #[error(transparent)]
    Classes(#[from] ClassesError),
}

/// The fault-free run.
#[derive(Debug, Clone)]
pub struct Golden {
    /// Outputs for all images, `[images, classes]`.
    pub logits: Vec<f32>,
    /// Number of images whose label is the top class.
    pub correct: u64,
}

/// What the engine tells while it runs.
pub trait Observer: Sync {
    /// So many more inferences are done; called from all threads.
    fn inferences(&self, count: usize);
    /// Whether to stop before the next block of trials.
    fn is_cancelled(&self) -> bool;
}

/// Inferences after which records are handed over: a block of trials is at least this long, so that its golden activations are
/// computed once for many trials, and not much longer, so that little is lost when the process is killed.
const BLOCK_INFERENCES: usize = 16_384;

/// Sites that a block of trials may hold in memory; one trial may exceed it alone.
const BLOCK_SITES: usize = 1 << 22;

/// What each thread needs of its own.
struct Worker {
    weights: Weights,
    golden: Workspace,
    faulty: Workspace,
}

/// A trial of a block, with its faults drawn.
struct Armed {
    trial: Trial,
    draw: FaultDraw,
    /// The first step that reads a struck parameter; `None` without faults.
    start: Option<StepId>,
}

impl<'a> Campaign<'a> {
    /// Resolves a specification against a network and (already limited) data.
    ///
    /// # Errors
    /// When a fault, the images or the number of classes do not fit the network.
    pub fn new(
        spec: &CampaignSpec,
        network: &Network,
        preprocessing: &Preprocessing,
        data: &'a Dataset,
    ) -> Result<Self, CampaignError> {
        let conditions = spec.conditions()?;
        let inputs = preprocessing.bind(data, network.input_shape())?;
        let (program, weights) = Program::compile(network, &[], &[]);
        program.check_classes(data)?;
        let mut faults = Vec::new();
        for condition in &conditions {
            let resolve = |(i, fault): (usize, &crate::fault::FaultSpec)| {
                fault.resolve(network).map_err(|source| {
                    let swept = condition.swept;
                    let condition = swept
                        .map_or("no sweep".to_owned(), |(axis, value)| format!("{} = {value}", axis.name()));
                    CampaignError::Fault { number: i + 1, condition, source }
                })
            };
            faults.push(spec.faults_of(condition).iter().enumerate().map(resolve).collect::<Result<_, _>>()?);
        }
        Ok(Self {
            identity: Identity::new(spec, network, preprocessing, data),
            plan: Plan { conditions, draws: spec.trials.count },
            seed: spec.seed,
            faults,
            program,
            weights,
            inputs,
            probabilities: ends_in_softmax(network),
        })
    }

    /// What this campaign is, in hashes.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// All its trials.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Number of images each trial runs.
    pub fn images(&self) -> usize {
        self.inputs.len()
    }

    /// Number of different sites under each condition, over all faults.
    pub fn sites(&self, condition: usize) -> u64 {
        self.faults[condition].iter().map(Fault::sites).sum()
    }

    /// The faults of a trial: a pure function of the campaign's seed and the trial's id.
    pub fn draw(&self, trial: Trial) -> FaultDraw {
        let mut stream = trial_stream(self.seed, trial.id);
        let sites = self.faults[trial.condition].iter().flat_map(|fault| fault.draw(&mut stream).sites);
        FaultDraw { sites: sites.collect() }
    }

    /// Runs without faults.
    pub fn golden(&self, observer: &dyn Observer) -> Golden {
        let logits =
            logits(&self.program, &self.weights, &self.inputs, &|images| observer.inferences(images));
        Golden { correct: count_correct(&logits, self.inputs.dataset().labels()), logits }
    }

    /// Runs trials on the current rayon pool and hands over their records, a block at a time and in the given order. Stops early
    /// when `record` breaks or the observer cancels; returns what `record` broke with.
    pub fn run<B>(
        &self,
        golden: &Golden,
        trials: impl IntoIterator<Item = Trial>,
        observer: &dyn Observer,
        mut record: impl FnMut(Vec<TrialRecord>) -> ControlFlow<B>,
    ) -> Option<B> {
        let workers: Vec<Mutex<Option<Worker>>> =
            (0..rayon::current_num_threads()).map(|_| Mutex::new(None)).collect();
        let mut trials = trials.into_iter().peekable();
        while trials.peek().is_some() && !observer.is_cancelled() {
            let block = self.next_block(&mut trials);
            if let ControlFlow::Break(reason) = record(self.run_block(golden, &block, observer, &workers)) {
                return Some(reason);
            }
        }
        None
    }

    /// Draws the faults of the next trials, as many as make a block.
    fn next_block(&self, trials: &mut impl Iterator<Item = Trial>) -> Vec<Armed> {
        let most = (BLOCK_INFERENCES / self.images()).clamp(4, 256);
        let mut block = Vec::new();
        let mut sites = 0;
        while block.len() < most && sites < BLOCK_SITES {
            let Some(trial) = trials.next() else { break };
            let armed = self.arm(trial);
            sites += armed.draw.sites.len();
            block.push(armed);
        }
        block
    }

    fn run_block(
        &self,
        golden: &Golden,
        armed: &[Armed],
        observer: &dyn Observer,
        workers: &[Mutex<Option<Worker>>],
    ) -> Vec<TrialRecord> {
        let images = self.images();
        // Small enough that all threads have work.
        let chunk = chunk_size(&self.program).min(images.div_ceil(4 * workers.len())).max(1);
        let starts: Vec<usize> = (0..images).step_by(chunk).collect();
        let none = || vec![(Outcomes::default(), 0.0); armed.len()];
        let totals = starts
            .into_par_iter()
            .map(|start| {
                let index = rayon::current_thread_index().unwrap_or(0);
                let mut slot = workers[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let worker = slot.get_or_insert_with(|| Worker {
                    weights: self.weights.clone(),
                    golden: Workspace::recording(&self.program),
                    faulty: Workspace::new(&self.program),
                });
                self.run_chunk(start..images.min(start + chunk), golden, armed, worker, observer)
            })
            .reduce(none, |mut totals, part| {
                for (total, part) in totals.iter_mut().zip(part) {
                    total.0 += part.0;
                    total.1 += part.1;
                }
                totals
            });
        let record = |(armed, (outcomes, cpu_seconds)): (&Armed, (Outcomes, f64))| TrialRecord {
            campaign: self.identity.campaign.clone(),
            trial: armed.trial.id,
            condition: armed.trial.condition,
            draw: armed.trial.draw,
            faults: armed.draw.sites.len() as u64,
            outcomes,
            cpu_seconds,
        };
        armed.iter().zip(totals).map(record).collect()
    }

    fn arm(&self, trial: Trial) -> Armed {
        let draw = self.draw(trial);
        let start = draw.sites.iter().map(|site| self.program.step_of(site.parameter)).min();
        Armed { trial, draw, start }
    }

    /// Runs all trials of a block on some images: the golden activations once, then each trial from the first step it touches, if
    /// that is less work than running every trial from the input.
    fn run_chunk(
        &self,
        images: std::ops::Range<usize>,
        golden: &Golden,
        armed: &[Armed],
        worker: &mut Worker,
        observer: &dyn Observer,
    ) -> Vec<(Outcomes, f64)> {
        let classes = self.program.output_len();
        let expected = &golden.logits[images.start * classes..images.end * classes];
        let labels = &self.inputs.dataset().labels()[images.clone()];
        self.inputs.fill(images.clone(), worker.golden.input_mut(&self.program, images.len()));
        // The golden activations pay only if starting behind them saves more than computing them costs.
        let saved: u64 =
            armed.iter().filter_map(|armed| armed.start).map(|start| self.program.cost_before(start)).sum();
        let reuse = saved > self.program.cost();
        if reuse {
            self.program.run(&worker.weights, &mut worker.golden);
        }
        let run = |armed: &Armed| {
            let began = Instant::now();
            let faulty = match armed.start {
                None => expected,
                Some(start) => {
                    let undo = armed.draw.strike(&mut worker.weights);
                    let start = if reuse { start } else { StepId(0) };
                    self.program.run_from(start, &worker.weights, &worker.golden, &mut worker.faulty);
                    undo.undo(&mut worker.weights);
                    worker.faulty.output(&self.program)
                }
            };
            let mut outcomes = Outcomes::default();
            let outputs = expected.chunks_exact(classes).zip(faulty.chunks_exact(classes));
            for ((golden, faulty), &label) in outputs.zip(labels) {
                outcomes.count(golden, faulty, label, self.probabilities);
            }
            observer.inferences(images.len());
            (outcomes, began.elapsed().as_secs_f64())
        };
        armed.iter().map(run).collect()
    }
}

/// Whether a network's outputs are those of a softmax, perhaps in another shape.
fn ends_in_softmax(network: &Network) -> bool {
    let mut last = network.node(network.output());
    while matches!(last.op, Op::Flatten | Op::Reshape { .. } | Op::Dropout) {
        last = network.node(last.inputs[0]);
    }
    matches!(last.op, Op::Softmax { .. })
}
