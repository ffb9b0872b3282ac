//! Running trials.

use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::time::Instant;

use rayon::prelude::*;

use super::outcome::Outcomes;
use super::plan::Trial;
use super::record::TrialRecord;
use super::resolved::{Campaign, TrialFaults};
use super::variant::{GoldenRun, Struck, Variant};
use crate::execution::{StepId, Weights, Workspace, chunk_size, top_class};
use crate::fault::{Change, FaultSite, changes, strike, undo};

/// The fault-free runs, one for every way the conditions store the network.
#[derive(Debug, Clone)]
pub struct Golden {
    pub(super) runs: Vec<GoldenRun>,
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

/// Sites that a block of trials, or a chunk of images under one trial, may hold in memory; one trial or image may exceed it alone.
const MOST_SITES: usize = 1 << 22;

/// What each thread needs of its own to run one stored network.
struct Worker {
    weights: Weights,
    golden: Workspace,
    faulty: Workspace,
}

/// Each thread's workers, made when first needed.
type Workers = Vec<Mutex<Vec<Option<Worker>>>>;

/// A trial of a block, with its faults drawn.
struct Armed {
    trial: Trial,
    faults: TrialFaults,
    /// What permanent faults make of the parameters.
    changes: Vec<Change>,
    /// The permanent sites in activations.
    activations: Vec<FaultSite>,
    /// The images that count; `None` for all.
    images: Option<Vec<usize>>,
    /// The first step that may have to run again; `None` if no fault changes anything.
    start: Option<StepId>,
}

impl Armed {
    /// The images of a chunk that count.
    fn images_in(&self, chunk: Range<usize>) -> impl Iterator<Item = usize> + use<'_> {
        let counts = |image: &usize| match &self.images {
            Some(images) => images.binary_search(image).is_ok(),
            None => true,
        };
        chunk.filter(counts)
    }
}

/// What came of a trial on some images.
#[derive(Default, Clone)]
struct Part {
    outcomes: Outcomes,
    cpu_seconds: f64,
    faults: u64,
    predictions: Vec<Option<u8>>,
}

impl Campaign<'_> {
    /// Runs without faults.
    pub fn golden(&self, observer: &dyn Observer) -> Golden {
        let golden = |variant: &Variant| variant.golden(&self.inputs, &|images| observer.inferences(images));
        Golden { runs: self.variants.iter().map(golden).collect() }
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
        let slot = |_| Mutex::new((0..self.variants.len()).map(|_| None).collect());
        let workers: Workers = (0..rayon::current_num_threads()).map(slot).collect();
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
        while block.len() < most && sites < MOST_SITES {
            let Some(trial) = trials.next() else { break };
            let armed = self.arm(trial);
            sites += armed.faults.permanent_sites();
            block.push(armed);
        }
        block
    }

    /// Compares some images' outputs under a trial with the golden ones.
    ///
    /// **Shapes**: `faulty` `[images, classes]`.
    pub(super) fn classify(
        &self,
        golden: &Golden,
        trial: Trial,
        images: Range<usize>,
        faulty: &[f32],
    ) -> Outcomes {
        let classes = faulty.len() / images.len();
        let expected = &golden.runs[self.variant_number(trial)].logits;
        self.classify_against(&expected[images.start * classes..images.end * classes], images, faulty)
    }

    fn classify_against(&self, expected: &[f32], images: Range<usize>, faulty: &[f32]) -> Outcomes {
        let classes = faulty.len() / images.len();
        let labels = &self.inputs.dataset().labels()[images];
        let mut outcomes = Outcomes::default();
        let outputs = expected.chunks_exact(classes).zip(faulty.chunks_exact(classes));
        for ((golden, faulty), &label) in outputs.zip(labels) {
            outcomes.count(golden, faulty, label, self.probabilities);
        }
        outcomes
    }

    fn arm(&self, trial: Trial) -> Armed {
        let faults = self.faults_of(trial);
        let variant = self.variant_of(trial);
        let permanent: Vec<FaultSite> = faults.permanent().copied().collect();
        let changes = changes(&variant.memory, &permanent);
        let changed = changes.iter().map(|change| variant.program.step_of(change.parameter)).min();
        let is_activation = |site: &FaultSite| variant.memory.tensor(site.tensor).tap().is_some();
        let activations: Vec<FaultSite> = permanent.into_iter().filter(is_activation).collect();
        let touched = activations.iter().map(|site| site.tensor).chain(faults.transient_tensors());
        let start = changed.into_iter().chain(variant.first_step(touched)).min();
        Armed { trial, faults, changes, activations, images: self.images_of(trial), start }
    }

    fn run_block(
        &self,
        golden: &Golden,
        armed: &[Armed],
        observer: &dyn Observer,
        workers: &Workers,
    ) -> Vec<TrialRecord> {
        let images = self.images();
        let chunk = self.chunk(armed).min(images.div_ceil(4 * workers.len())).max(1);
        let starts: Vec<usize> = (0..images).step_by(chunk).collect();
        let parts: Vec<Vec<Part>> = starts
            .into_par_iter()
            .map(|start| {
                let index = rayon::current_thread_index().unwrap_or(0);
                let mut slot = workers[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                self.run_chunk(start..images.min(start + chunk), golden, armed, &mut slot, observer)
            })
            .collect();
        let record = |(i, armed): (usize, &Armed)| {
            let mut whole = Part { faults: armed.faults.permanent_sites() as u64, ..Part::default() };
            for part in parts.iter().map(|parts| &parts[i]) {
                whole.outcomes += part.outcomes;
                whole.cpu_seconds += part.cpu_seconds;
                whole.faults += part.faults;
                whole.predictions.extend_from_slice(&part.predictions);
            }
            TrialRecord {
                campaign: self.identity().campaign.clone(),
                trial: armed.trial.id,
                condition: armed.trial.condition,
                draw: armed.trial.draw,
                faults: whole.faults,
                outcomes: whole.outcomes,
                predictions: self.records_predictions().then_some(whole.predictions),
                cpu_seconds: whole.cpu_seconds,
            }
        };
        armed.iter().enumerate().map(record).collect()
    }

    /// Images that run together: few enough that all threads have work, that the sites of one trial fit in memory, and a single
    /// one where every image has parameters of its own.
    fn chunk(&self, armed: &[Armed]) -> usize {
        let mut chunk = usize::MAX;
        for armed in armed {
            let variant = self.variant_of(armed.trial);
            let sites = armed.faults.transient_sites_per_image();
            let most = if self.strikes_parameters_anew(armed.trial, &armed.faults) {
                1
            } else {
                MOST_SITES / sites.max(1)
            };
            chunk = chunk.min(chunk_size(&variant.program)).min(most.max(1));
        }
        chunk
    }

    /// Runs all trials of a block on some images, those of each stored network together.
    fn run_chunk(
        &self,
        images: Range<usize>,
        golden: &Golden,
        armed: &[Armed],
        workers: &mut [Option<Worker>],
        observer: &dyn Observer,
    ) -> Vec<Part> {
        let mut parts = vec![Part::default(); armed.len()];
        for (number, variant) in self.variants.iter().enumerate() {
            let mine: Vec<usize> =
                (0..armed.len()).filter(|&i| self.variant_number(armed[i].trial) == number).collect();
            if mine.is_empty() {
                continue;
            }
            let worker = workers[number].get_or_insert_with(|| Worker {
                weights: variant.weights.clone(),
                golden: Workspace::recording(&variant.program),
                faulty: Workspace::new(&variant.program),
            });
            let chunk =
                Chunk { campaign: self, variant, images: images.clone(), golden: &golden.runs[number] };
            let reuse = chunk.prepare(mine.iter().map(|&i| &armed[i]), worker);
            for i in mine {
                parts[i] = chunk.run(&armed[i], reuse, worker);
                observer.inferences(parts[i].outcomes.images as usize);
            }
        }
        parts
    }
}

/// Some images that run together through one stored network.
struct Chunk<'a> {
    campaign: &'a Campaign<'a>,
    variant: &'a Variant,
    images: Range<usize>,
    golden: &'a GoldenRun,
}

impl Chunk<'_> {
    /// Fills in the images, and computes their golden activations if starting behind them saves more than computing them costs:
    /// returns whether it does.
    fn prepare<'a>(&self, armed: impl Iterator<Item = &'a Armed>, worker: &mut Worker) -> bool {
        let program = &self.variant.program;
        let input = worker.golden.input_mut(program, self.images.len());
        self.campaign.inputs.fill(self.images.clone(), input);
        let saved: u64 = armed.filter_map(|armed| armed.start).map(|start| program.cost_before(start)).sum();
        let reuse = saved > program.cost();
        if reuse {
            self.variant.record(&worker.weights, &mut worker.golden);
        }
        reuse
    }

    /// Runs one trial on these images and compares every output with the golden one.
    fn run(&self, armed: &Armed, reuse: bool, worker: &mut Worker) -> Part {
        let began = Instant::now();
        if armed.images_in(self.images.clone()).next().is_none() {
            return Part::default();
        }
        let classes = self.variant.program.output_len();
        let expected = &self.golden.logits[self.images.start * classes..self.images.end * classes];
        let mut part = Part::default();
        let faulty = match armed.start {
            None => expected,
            Some(start) => {
                part.faults = self.strike_and_run(armed, if reuse { start } else { StepId(0) }, worker);
                worker.faulty.output(&self.variant.program)
            }
        };
        for image in armed.images_in(self.images.clone()) {
            let at = (image - self.images.start) * classes..(image + 1 - self.images.start) * classes;
            let (expected, faulty) = (&expected[at.clone()], &faulty[at]);
            part.outcomes += self.campaign.classify_against(expected, image..image + 1, faulty);
            if self.campaign.records_predictions() {
                part.predictions.push(top_class(faulty).map(|class| class as u8));
            }
        }
        part.cpu_seconds = began.elapsed().as_secs_f64();
        part
    }

    /// Leaves the faulty outputs in the worker, and its weights as they were; returns the number of sites drawn anew for these images.
    fn strike_and_run(&self, armed: &Armed, start: StepId, worker: &mut Worker) -> u64 {
        if !armed.faults.has_transient() {
            self.run_struck(start, &armed.changes, Struck::All(&armed.activations), worker);
            return 0;
        }
        let sites = |image| self.campaign.sites_of_image(armed.trial, &armed.faults, image as u64);
        let own: Vec<Vec<FaultSite>> = self.images.clone().map(sites).collect();
        // Parameters struck anew for every image run one image at a time.
        let anew = (own.len() == 1).then(|| changes(&self.variant.memory, &own[0]));
        self.run_struck(start, anew.as_deref().unwrap_or(&armed.changes), Struck::Each(&own), worker);
        let permanent = armed.faults.permanent_sites();
        let own = |image: usize| (own[image - self.images.start].len() - permanent) as u64;
        armed.images_in(self.images.clone()).map(own).sum()
    }

    fn run_struck(&self, start: StepId, changes: &[Change], struck: Struck<'_>, worker: &mut Worker) {
        let Worker { weights, golden, faulty } = worker;
        strike(changes, weights);
        self.variant.program.run_from_with(start, weights, golden, faulty, &mut self.variant.touch(struck));
        undo(changes, &self.variant.weights, weights);
    }
}
