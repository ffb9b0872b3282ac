//! Running trials: blocks of them, on all threads.

use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use thiserror::Error;

use super::armed::Armed;
use super::chunk::{Chunk, Manner, MarginCache, Part, Worker};
use super::outcome::Outcomes;
use super::pace::Pace;
use super::plan::Trial;
use super::record::TrialRecord;
use super::resolved::Campaign;
use super::variant::{GoldenRun, Variant};
use super::verify::Mismatch;
use crate::execution::Masking;
use crate::fault::FaultSite;

/// The fault-free runs, one for every way the conditions store the network.
#[derive(Debug, Clone)]
pub struct Golden {
    pub(super) runs: Vec<GoldenRun>,
}

/// What the engine tells while it runs.
pub trait Observer: Sync {
    /// So many more inferences are done; called from all threads.
    fn inferences(&self, count: usize);
    /// Whether to stop. Trials that are under way are dropped.
    fn is_cancelled(&self) -> bool;
}

/// How trials are run. None of it changes a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunOptions {
    /// Bytes that the activations of all threads may take together.
    pub memory: u64,
    /// The share of trials, 0..=1, that are run again by brute force, every image through the whole network, and compared.
    pub verify: f64,
    /// Whether inferences are left before their end where the golden top class provably stays; never where confidences are recorded.
    pub proofs: ProofPolicy,
}

impl Default for RunOptions {
    /// One gibibyte, nothing verified, proofs where they pay.
    fn default() -> Self {
        Self { memory: 1 << 30, verify: 0.0, proofs: ProofPolicy::WhereTheyPay }
    }
}

/// When proofs of masking are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofPolicy {
    /// Never.
    Never,
    /// Once the trials have taken longer than what proofs need.
    WhereTheyPay,
    /// From the first trial.
    Always,
}

/// Why trials cannot be run.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RunError {
    /// The memory does not hold the activations of one image for each thread.
    #[error(
        "the activations of one image on {threads} threads take {needed} bytes, but only {given} are allowed; allow more memory or use fewer threads"
    )]
    Memory {
        /// Threads.
        threads: usize,
        /// Bytes needed at least.
        needed: u64,
        /// Bytes allowed.
        given: u64,
    },
    /// A trial comes out otherwise by brute force.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

/// Images of a task at most: more would not be faster.
const MOST_IMAGES: u64 = 256;

/// Bytes of activations of a stored network that run together, golden and faulty: about what caches hold. Trials come back to them.
const CACHED_BYTES: u64 = 8 << 20;

/// So many times the bytes of a network's parameters are run together nevertheless: the images share the reading of these.
const LEAST_SHARE: u64 = 2;

/// Sites that a block of trials, or a chunk of images under one trial, may hold in memory; one trial or image may exceed it alone.
const MOST_SITES: usize = 1 << 22;

/// Each thread's workers, one for each stored network, made when first needed.
struct Workers(Vec<Mutex<Vec<Option<Worker>>>>);

/// Some images, and some trials of a block.
type Task = (Range<usize>, Range<usize>);

/// A block of trials and how it is to be run.
struct Block<'a> {
    trials: &'a [Armed],
    /// Images of a task.
    chunk: usize,
    /// Images that run together at most.
    most: usize,
    /// For each stored network, how its trials run.
    manners: Vec<Manner>,
    predictions: bool,
}

/// Proofs pay once trials have cost so many runs of every image; what they need costs about half as much, once.
const PROOFS_WORTH: f64 = 10.0;

/// And so many inferences: bounds on what layers do to differences cost as much as some 3 000 of ResNet-18's, however few images there are.
const PROOFS_WORTH_INFERENCES: f64 = 5_000.0;

/// One part of the memory in so many is for what proofs need.
const PROOFS_SHARE: u64 = 4;

/// Images of which faults are drawn to find where they enter, where each image has its own.
const IMAGES_LOOKED_AT: usize = 8;

/// Tasks of a block for each thread, where images can be divided as one likes.
const TASKS_PER_THREAD: usize = 4;

/// What a run keeps from block to block.
struct State {
    workers: Workers,
    margins: MarginCache,
    together: Together,
    /// For each stored network, the work left to its trials so far, in runs of every image.
    left: Vec<f64>,
}

/// Images that run together.
struct Together {
    /// As many as the memory holds.
    most: usize,
    /// Beside golden activations.
    chunk: usize,
}

impl Campaign<'_> {
    /// Runs without faults.
    pub fn golden(&self, observer: &dyn Observer) -> Golden {
        let golden = |variant: &Variant| variant.golden(&self.inputs, &|images| observer.inferences(images));
        Golden { runs: self.variants.iter().map(golden).collect() }
    }

    /// Runs trials on the current rayon pool and hands over their records, a block at a time and in the given order. Stops early
    /// when `record` breaks or the observer cancels; returns what `record` broke with.
    ///
    /// # Errors
    /// When the memory does not suffice, or a trial that is verified comes out otherwise by brute force.
    pub fn run<B>(
        &self,
        golden: &Golden,
        trials: impl IntoIterator<Item = Trial>,
        options: &RunOptions,
        observer: &dyn Observer,
        mut record: impl FnMut(Vec<TrialRecord>) -> ControlFlow<B>,
    ) -> Result<Option<B>, RunError> {
        let threads = rayon::current_num_threads();
        let mut state = State {
            workers: Workers::new(threads, self.variants.len()),
            margins: MarginCache::default(),
            together: self.together(options.memory, threads)?,
            left: vec![0.0; self.variants.len()],
        };
        let mut pace = Pace::new(self.images());
        let mut trials = trials.into_iter().peekable();
        while trials.peek().is_some() {
            let mut armed = self.next_block(golden, &mut trials, pace.trials());
            let began = Instant::now();
            armed.par_iter_mut().for_each(|armed| armed.chip = self.chip_of(armed.trial, &armed.changes));
            let parts = self.run_block(golden, &armed, options, observer, &mut state);
            // What is not finished is not recorded.
            if observer.is_cancelled() {
                return Ok(None);
            }
            self.verify(&armed, &parts, options.verify)?;
            pace.update(armed.len(), began.elapsed().as_secs_f64(), state.workers.take_golden_seconds());
            let records = armed.iter().zip(parts).map(|(armed, part)| self.record(armed, part)).collect();
            if let ControlFlow::Break(reason) = record(records) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// Draws the faults of the next trials, as many as make a block.
    fn next_block(
        &self,
        golden: &Golden,
        trials: &mut impl Iterator<Item = Trial>,
        most: usize,
    ) -> Vec<Armed> {
        let mut block = Vec::new();
        let mut sites = 0;
        while block.len() < most && sites < MOST_SITES {
            let Some(trial) = trials.next() else { break };
            let armed = self.arm(golden, trial);
            // A weight on a chip takes about as much memory as a site.
            sites += armed.faults.permanent_sites() + self.hardware_of(trial).weights();
            block.push(armed);
        }
        block
    }

    /// Images that run together: what caches, and at most what the memory, hold of golden and faulty activations for every thread; but
    /// enough of them to make up for the reading of weights.
    fn together(&self, memory: u64, threads: usize) -> Result<Together, RunError> {
        let bytes = |Variant { program, .. }: &Variant| {
            (2 * program.recording_bytes_per_image() + program.struck_bytes_per_image()) as u64
        };
        let largest = self.variants.iter().map(bytes).max().unwrap_or(0);
        let network = self.variants[0].memory.network();
        let parameters: usize =
            network.parameters().map(|(_, parameter)| size_of_val(parameter.tensor.data())).sum();
        let least = LEAST_SHARE * parameters as u64;
        let cached = (CACHED_BYTES.max(least) / largest.max(1)).clamp(1, MOST_IMAGES);
        let image = threads as u64 * self.variants.iter().map(bytes).sum::<u64>();
        // The rest is for proofs.
        match (memory - memory / PROOFS_SHARE) / image.max(1) {
            0 => {
                // The least memory of which that rest is as much.
                let needed = image + (image - 1) / (PROOFS_SHARE - 1);
                Err(RunError::Memory { threads, needed, given: memory })
            }
            most => Ok(Together { most: most.min(MOST_IMAGES) as usize, chunk: most.min(cached) as usize }),
        }
    }

    /// Compares some images' outputs under a trial with the golden ones, bits and confidences too.
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
        let mut outcomes = Outcomes::new(true);
        for (image, faulty) in images.zip(faulty.chunks_exact(classes)) {
            self.classify_image(&expected[image * classes..][..classes], image, faulty, &mut outcomes);
        }
        outcomes
    }

    /// Compares one image's output with the golden one.
    pub(super) fn classify_image(
        &self,
        golden: &[f32],
        image: usize,
        faulty: &[f32],
        outcomes: &mut Outcomes,
    ) {
        let label = self.inputs.dataset().labels()[image];
        outcomes.count(golden, faulty, label, self.probabilities);
    }

    /// Counts an image whose golden top class is known to stay on top.
    pub(super) fn classify_masked(&self, golden: &[f32], image: usize, outcomes: &mut Outcomes) {
        outcomes.count_masked(golden, self.inputs.dataset().labels()[image]);
    }

    /// Runs a block; gives for every trial what came of it on all images.
    fn run_block(
        &self,
        golden: &Golden,
        trials: &[Armed],
        options: &RunOptions,
        observer: &dyn Observer,
        state: &mut State,
    ) -> Vec<Part> {
        let manners: Vec<Manner> =
            (0..self.variants.len()).map(|number| self.manner(number, trials, options, state)).collect();
        let State { workers, margins, together, .. } = &*state;
        // Whole networks keep nothing between trials: the more images, the fewer times a trial's faults strike.
        let is_whole = manners.iter().all(|manner| *manner == Manner::Whole);
        let chunk = if is_whole {
            let tasks = TASKS_PER_THREAD * workers.0.len();
            self.images().div_ceil(tasks.div_ceil(trials.len())).clamp(1, MOST_IMAGES as usize)
        } else {
            together.chunk
        };
        let sites = trials.iter().map(|armed| armed.faults.transient_sites_per_image()).max().unwrap_or(0);
        let listed = (MOST_SITES / sites.max(1)).max(1);
        let block = Block {
            trials,
            chunk: chunk.min(listed),
            most: together.most.min(listed),
            manners,
            predictions: options.verify > 0.0 || self.records_predictions(),
        };
        let tasks = block.tasks(self.images(), workers.0.len());
        let parts: Vec<Vec<Part>> = tasks
            .par_iter()
            // One at a time: a thread that took several would leave the others waiting for it at the end.
            .with_max_len(1)
            .map(|(images, range)| {
                let thread = rayon::current_thread_index().unwrap_or(0);
                let mut slot = workers.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
                self.run_task(golden, &block, (images.clone(), range.clone()), &mut slot, margins, observer)
            })
            .collect();
        let mut whole = vec![Part::default(); trials.len()];
        // In the order of the images, so that predictions are too.
        for ((_, range), parts) in tasks.iter().zip(parts) {
            whole[range.clone()].iter_mut().zip(&parts).for_each(|(whole, part)| whole.extend(part));
        }
        whole
    }

    /// How the trials of a stored network run: beside golden activations if starting behind what faults leave alone saves more than
    /// computing those costs; parameters struck anew for every image always do. Chips run the whole network: every value differs.
    fn manner(&self, number: usize, trials: &[Armed], options: &RunOptions, state: &mut State) -> Manner {
        let variant = &self.variants[number];
        let mine = || trials.iter().filter(|armed| self.variant_number(armed.trial) == number);
        if mine().any(|armed| armed.chip.is_some()) {
            return Manner::Whole;
        }
        let (mut saved, left) = (0.0, &mut state.left[number]);
        for armed in mine() {
            let Some(behind) = self.left_alone(variant, armed) else { continue };
            let share = armed.images.as_ref().map_or(1.0, |own| own.len() as f64 / self.images() as f64);
            saved += share * behind;
            *left += share * (1.0 - behind);
        }
        let always = options.proofs == ProofPolicy::Always;
        if saved <= 1.0 && !always && !mine().any(|armed| armed.anew) {
            return Manner::Whole;
        }
        let kept = |masking: &Masking| (masking.bytes_per_image(&variant.program) * self.images()) as u64;
        let fits =
            |masking: &Masking| kept(masking) <= options.memory / PROOFS_SHARE / self.variants.len() as u64;
        let pay = *left > PROOFS_WORTH && *left * self.images() as f64 > PROOFS_WORTH_INFERENCES;
        let pays = always || (options.proofs == ProofPolicy::WhereTheyPay && pay);
        let proofs = pays && !self.records_confidence() && variant.masking().is_some_and(fits);
        Manner::BesideGolden { proofs }
    }

    /// The share of an inference that a trial's faults leave alone, before the first of them enters; `None` where there is none. Where each image
    /// has its own, the mean of a few images.
    fn left_alone(&self, variant: &Variant, armed: &Armed) -> Option<f64> {
        let program = &variant.program;
        let share = |cost: u64| cost as f64 / program.cost().max(1) as f64;
        let before = armed.origins.cost_before(program)?;
        if !armed.faults.has_transient() || !armed.changes.is_empty() || !armed.activations.is_empty() {
            return Some(share(before));
        }
        let tap = |site: &FaultSite| variant.memory.tensor(site.tensor).tap();
        let of_image = |image: usize| {
            let sites = self.sites_of_image(armed.trial, &armed.faults, image as u64);
            let steps = sites.iter().filter_map(tap).map(|tap| program.step_of_tap(tap));
            steps.min().map_or(1.0, |step| share(program.cost_before_taps(step)))
        };
        let some = (0..self.images()).step_by(self.images().div_ceil(IMAGES_LOOKED_AT));
        let shares: Vec<f64> = some.map(of_image).collect();
        Some(shares.iter().sum::<f64>() / shares.len() as f64)
    }

    /// Runs some trials of a block on some images, those of each stored network together.
    fn run_task(
        &self,
        golden: &Golden,
        block: &Block<'_>,
        (images, range): Task,
        workers: &mut [Option<Worker>],
        margins: &MarginCache,
        observer: &dyn Observer,
    ) -> Vec<Part> {
        let mut parts = vec![Part::default(); range.len()];
        for (number, variant) in self.variants.iter().enumerate() {
            let is_mine =
                |place: &usize| self.variant_number(block.trials[range.start + place].trial) == number;
            let mine: Vec<usize> = (0..range.len()).filter(is_mine).collect();
            if mine.is_empty() {
                continue;
            }
            let chunk = Chunk {
                campaign: self,
                variant,
                golden: &golden.runs[number],
                images: images.clone(),
                manner: block.manners[number],
                most: block.most,
                margins,
                number,
                predictions: block.predictions,
            };
            let worker = workers[number].get_or_insert_with(|| Worker::new(variant));
            let armed = mine.iter().map(|&place| &block.trials[range.start + place]);
            let done = chunk.run(armed, worker, observer);
            mine.iter().zip(done).for_each(|(&place, part)| parts[place] = part);
        }
        parts
    }

    fn record(&self, armed: &Armed, part: Part) -> TrialRecord {
        TrialRecord {
            campaign: self.identity().campaign.clone(),
            trial: armed.trial.id,
            condition: armed.trial.condition,
            draw: armed.trial.draw,
            faults: armed.faults.permanent_sites() as u64 + part.faults,
            outcomes: part.outcomes,
            near: part.near,
            predictions: self.records_predictions().then_some(part.predictions),
            masked_proven: part.masked_proven,
            cpu_seconds: part.cpu_seconds,
        }
    }
}

impl Block<'_> {
    /// What one thread does at a time: all trials on a chunk of images, or where there are few chunks some of the trials.
    fn tasks(&self, images: usize, threads: usize) -> Vec<Task> {
        let together = |armed: &Armed| armed.images.is_none();
        let is_whole = |manner: &Manner| *manner == Manner::Whole;
        // Trials of images of their own find them all in one range.
        let scattered = self.manners.iter().all(is_whole) && !self.trials.iter().any(together);
        let chunks = if scattered { 1 } else { images.div_ceil(self.chunk) };
        let groups = if chunks >= threads { 1 } else { (TASKS_PER_THREAD * threads).div_ceil(chunks) };
        // Every group would compute the golden activations for itself.
        let least = if self.manners.iter().all(is_whole) { 1 } else { 2 };
        let groups = groups.min(self.trials.len().div_ceil(least)).max(1);
        // Chunks of equal size, and as many for every thread.
        let even = if chunks >= threads { chunks.next_multiple_of(threads) } else { chunks };
        let (size, share) = (images.div_ceil(even).max(1), self.trials.len().div_ceil(groups));
        let mut tasks = Vec::new();
        for first in (0..images).step_by(size) {
            for trial in (0..self.trials.len()).step_by(share) {
                tasks.push((first..images.min(first + size), trial..self.trials.len().min(trial + share)));
            }
        }
        tasks
    }
}

impl Workers {
    fn new(threads: usize, variants: usize) -> Self {
        let slot = |_| Mutex::new((0..variants).map(|_| None).collect());
        Self((0..threads).map(slot).collect())
    }

    /// Seconds, on each thread, that went into golden activations since the last call.
    fn take_golden_seconds(&self) -> f64 {
        let seconds = |slot: &Mutex<Vec<Option<Worker>>>| -> f64 {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.iter_mut().flatten().map(|worker| std::mem::take(&mut worker.golden_seconds)).sum()
        };
        self.0.iter().map(seconds).sum::<f64>() / self.0.len() as f64
    }
}
