//! The trials of a block on some images, on one thread.

use std::ops::Range;
use std::time::Instant;

use super::armed::Armed;
use super::engine::Observer;
use super::outcome::Outcomes;
use super::resolved::Campaign;
use super::variant::{GoldenRun, Struck, Variant};
use crate::execution::{Beside, Faulty, Origins, Weights, Workspace, top_class};
use crate::fault::{Change, FaultSite, changes, strike, undo};

/// What each thread needs of its own to run one stored network.
pub(super) struct Worker {
    weights: Weights,
    /// Activations without faults, of the images `recorded`.
    golden: Workspace,
    recorded: Range<usize>,
    /// Faulty activations beside the golden ones.
    faulty: Faulty,
    /// For runs of the whole network.
    whole: Workspace,
    pub(super) golden_seconds: f64,
}

impl Worker {
    pub(super) fn new(variant: &Variant) -> Self {
        Self {
            weights: variant.weights.clone(),
            golden: Workspace::recording(&variant.program),
            recorded: 0..0,
            faulty: Faulty::default(),
            whole: Workspace::new(&variant.program),
            golden_seconds: 0.0,
        }
    }
}

/// What came of a trial on some images.
#[derive(Default, Clone)]
pub(super) struct Part {
    pub(super) outcomes: Outcomes,
    pub(super) cpu_seconds: f64,
    /// Number of sites drawn anew for these images.
    pub(super) faults: u64,
    /// The top class of each image, where it is wanted.
    pub(super) predictions: Vec<Option<u8>>,
}

impl Part {
    /// Adds what came of the same trial on later images.
    pub(super) fn extend(&mut self, other: Self) {
        self.outcomes += other.outcomes;
        self.cpu_seconds += other.cpu_seconds;
        self.faults += other.faults;
        self.predictions.extend_from_slice(&other.predictions);
    }
}

/// Some images through one stored network.
pub(super) struct Chunk<'a> {
    pub(super) campaign: &'a Campaign<'a>,
    pub(super) variant: &'a Variant,
    pub(super) golden: &'a GoldenRun,
    pub(super) images: Range<usize>,
    /// Whether trials run beside recorded golden activations, or the whole network each.
    pub(super) beside_golden: bool,
    /// Whether every image's top class is wanted.
    pub(super) predictions: bool,
}

impl Chunk<'_> {
    /// Runs trials one after another, as long as the observer lets it.
    pub(super) fn run<'a>(
        &self,
        trials: impl Iterator<Item = &'a Armed>,
        worker: &mut Worker,
        observer: &dyn Observer,
    ) -> Vec<Part> {
        if self.beside_golden && worker.recorded != self.images {
            let began = Instant::now();
            self.record(worker);
            worker.golden_seconds += began.elapsed().as_secs_f64();
        }
        trials
            .take_while(|_| !observer.is_cancelled())
            .map(|armed| {
                let part = self.run_trial(armed, worker);
                observer.inferences(self.images.len());
                part
            })
            .collect()
    }

    /// Keeps the golden activations of these images.
    fn record(&self, worker: &mut Worker) {
        let Self { campaign, variant, images, .. } = self;
        campaign.inputs.fill(images.clone(), worker.golden.input_mut(&variant.program, images.len()));
        variant.record(&worker.weights, &mut worker.golden);
        worker.faulty.follow(&variant.program, &worker.golden);
        worker.recorded = images.clone();
    }

    /// Runs one trial and compares every output with the golden one.
    fn run_trial(&self, armed: &Armed, worker: &mut Worker) -> Part {
        let began = Instant::now();
        let mut part = Part::default();
        if armed.changes_nothing() {
            self.images.clone().for_each(|image| self.classify(image, None, &mut part));
        } else if armed.anew {
            self.run_anew(armed, worker, &mut part);
        } else {
            let own = armed.faults.has_transient().then(|| self.transient_sites(armed, &mut part));
            let struck = own.as_deref().map_or(Struck::All(&armed.activations), Struck::Each);
            self.run_struck(armed, struck, worker, &mut part);
        }
        part.cpu_seconds = began.elapsed().as_secs_f64();
        part
    }

    /// The sites of each image, counting those that strike it alone.
    fn transient_sites(&self, armed: &Armed, part: &mut Part) -> Vec<Vec<FaultSite>> {
        let permanent = armed.faults.permanent_sites();
        let sites = |image: usize| self.campaign.sites_of_image(armed.trial, &armed.faults, image as u64);
        let own: Vec<Vec<FaultSite>> = self.images.clone().map(sites).collect();
        part.faults += own.iter().map(|sites| (sites.len() - permanent) as u64).sum::<u64>();
        own
    }

    fn run_struck(&self, armed: &Armed, struck: Struck<'_>, worker: &mut Worker, part: &mut Part) {
        let Self { variant, images, .. } = self;
        let program = &variant.program;
        strike(&armed.changes, &mut worker.weights);
        if self.beside_golden {
            let all: Vec<usize> = (0..images.len()).collect();
            let Worker { weights, golden, faulty, .. } = worker;
            let mut touch = variant.touch_images(struck);
            let beside = Beside { golden, proofs: None };
            program.run_faulty(weights, &armed.origins, &all, beside, faulty, &mut touch);
            for (place, image) in images.clone().enumerate() {
                self.classify(image, faulty.output(program, place), part);
            }
        } else {
            self.campaign.inputs.fill(images.clone(), worker.whole.input_mut(program, images.len()));
            program.run_with(&worker.weights, &mut worker.whole, &mut variant.touch(struck));
            let outputs = worker.whole.output(program).chunks_exact(program.output_len());
            images.clone().zip(outputs).for_each(|(image, output)| self.classify(image, Some(output), part));
        }
        undo(&armed.changes, &variant.weights, &mut worker.weights);
    }

    /// Runs a trial that strikes parameters anew for every image: one image after another.
    fn run_anew(&self, armed: &Armed, worker: &mut Worker, part: &mut Part) {
        let Self { variant, .. } = self;
        let own = self.transient_sites(armed, part);
        for (place, (image, sites)) in self.images.clone().zip(&own).enumerate() {
            let changes: Vec<Change> = changes(&variant.memory, sites);
            let mut origins: Origins = variant.origins(&changes);
            for tap in sites.iter().filter_map(|site| variant.memory.tensor(site.tensor).tap()) {
                origins.add_tap(&variant.program, tap);
            }
            strike(&changes, &mut worker.weights);
            let Worker { weights, golden, faulty, .. } = worker;
            let mut touch = variant.touch_images(Struck::Each(&own));
            let beside = Beside { golden, proofs: None };
            variant.program.run_faulty(weights, &origins, &[place], beside, faulty, &mut touch);
            self.classify(image, faulty.output(&variant.program, place), part);
            undo(&changes, &variant.weights, weights);
        }
    }

    /// Counts one image, given its output if it may differ from the golden one.
    fn classify(&self, image: usize, faulty: Option<&[f32]>, part: &mut Part) {
        let classes = self.variant.program.output_len();
        let golden = &self.golden.logits[image * classes..][..classes];
        let faulty = faulty.unwrap_or(golden);
        self.campaign.classify_image(golden, image, faulty, &mut part.outcomes);
        if self.predictions {
            part.predictions.push(top_class(faulty).map(|class| class as u8));
        }
    }
}
