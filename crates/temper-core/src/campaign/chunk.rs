//! The trials of a block on some images, on one thread.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::armed::Armed;
use super::engine::Observer;
use super::outcome::Outcomes;
use super::resolved::Campaign;
use super::variant::{GoldenRun, Struck, Variant};
use crate::execution::{
    Beside, Faulty, Masking, MaskingBatch, Origins, Weights, Workspace, chunk_size, top_class,
};
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
    /// What proofs need of those images.
    margins: Option<Arc<MaskingBatch>>,
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
            margins: None,
            golden_seconds: 0.0,
        }
    }
}

/// What came of a trial on some images.
#[derive(Default, Clone)]
pub(super) struct Part {
    pub(super) outcomes: Outcomes,
    /// Those of the images near to another answer, where the trial runs part of the images.
    pub(super) near: Option<Outcomes>,
    pub(super) cpu_seconds: f64,
    /// Number of sites drawn anew for these images.
    pub(super) faults: u64,
    /// Images left because the golden top class provably stays.
    pub(super) masked_proven: u64,
    /// The top class of each image, where it is wanted.
    pub(super) predictions: Vec<Option<u8>>,
}

impl Part {
    /// Adds what came of the same trial on later images.
    pub(super) fn extend(&mut self, other: &Self) {
        self.outcomes += other.outcomes;
        if let Some(near) = other.near {
            *self.near.get_or_insert_default() += near;
        }
        self.cpu_seconds += other.cpu_seconds;
        self.faults += other.faults;
        self.masked_proven += other.masked_proven;
        self.predictions.extend_from_slice(&other.predictions);
    }
}

/// How the trials of a stored network run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// The whole network for every trial.
    Whole,
    /// Beside recorded golden activations, only what faults can change.
    BesideGolden {
        /// Whether images are left where the golden top class provably stays.
        proofs: bool,
    },
}

/// What proofs need of images, by stored network and chunk: found once, however many blocks of trials there are.
#[derive(Default)]
pub(super) struct MarginCache(Mutex<HashMap<ChunkKey, Arc<MaskingBatch>>>);

/// A stored network's number, and images.
type ChunkKey = (usize, Range<usize>);

impl MarginCache {
    fn get(&self, key: ChunkKey, find: impl FnOnce() -> MaskingBatch) -> Arc<MaskingBatch> {
        let known = |cache: &Self| cache.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        // Found outside of the lock; two threads may do the same work once.
        known(self).unwrap_or_else(|| {
            let margins = Arc::new(find());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&margins));
            margins
        })
    }
}

/// Some images through one stored network.
pub(super) struct Chunk<'a> {
    pub(super) campaign: &'a Campaign<'a>,
    pub(super) variant: &'a Variant,
    pub(super) golden: &'a GoldenRun,
    pub(super) images: Range<usize>,
    pub(super) manner: Manner,
    pub(super) margins: &'a MarginCache,
    /// The network's number.
    pub(super) number: usize,
    /// Images that run together at most.
    pub(super) most: usize,
    /// Whether every image's top class is wanted.
    pub(super) predictions: bool,
}

/// What is known of an image's output.
enum Output<'a> {
    Golden,
    /// The golden top class provably stays on top.
    Masked,
    Logits(&'a [f32]),
}

impl<'a> Output<'a> {
    fn of(faulty: &'a Faulty, variant: &Variant, place: usize) -> Self {
        if faulty.is_proven(place) {
            return Self::Masked;
        }
        faulty.output(&variant.program, place).map_or(Self::Golden, Self::Logits)
    }
}

impl Chunk<'_> {
    /// Runs trials one after another, as long as the observer lets it.
    pub(super) fn run<'a>(
        &self,
        trials: impl Iterator<Item = &'a Armed>,
        worker: &mut Worker,
        observer: &dyn Observer,
    ) -> Vec<Part> {
        if matches!(self.manner, Manner::BesideGolden { .. }) {
            let began = Instant::now();
            self.record(worker);
            worker.golden_seconds += began.elapsed().as_secs_f64();
        }
        trials
            .take_while(|_| !observer.is_cancelled())
            .map(|armed| {
                let part = self.run_trial(armed, worker);
                observer.inferences(part.outcomes.images as usize);
                part
            })
            .collect()
    }

    /// Keeps the golden activations of these images, and what proofs need of them, unless they are there.
    fn record(&self, worker: &mut Worker) {
        let Self { campaign, variant, images, .. } = self;
        let program = &variant.program;
        if worker.recorded != *images {
            campaign.inputs.fill(images.clone(), worker.golden.input_mut(program, images.len()));
            variant.record(&worker.weights, &mut worker.golden);
            worker.faulty.follow(program, &worker.golden);
            worker.recorded = images.clone();
            worker.margins = None;
        }
        if let (None, Some(masking)) = (&worker.margins, self.masking()) {
            let find = || masking.batch(program, &variant.weights, &worker.golden);
            worker.margins = Some(self.margins.get((self.number, images.clone()), find));
        }
    }

    /// Runs one trial and compares every output with the golden one.
    fn run_trial(&self, armed: &Armed, worker: &mut Worker) -> Part {
        let began = Instant::now();
        let none = Outcomes::new(self.campaign.records_confidence());
        let near = armed.images.as_ref().map(|_| none);
        let mut part = Part { outcomes: none, near, ..Part::default() };
        let images = armed.images_in(self.images.clone());
        if armed.changes_nothing() {
            for &image in &images {
                self.classify(image, &Output::Golden, &mut part);
            }
        } else if self.manner == Manner::Whole {
            self.run_whole(armed, &images, worker, &mut part);
        } else if armed.anew {
            self.run_anew(armed, &images, worker, &mut part);
        } else if !images.is_empty() {
            strike(&armed.changes, &mut worker.weights);
            self.run_beside_golden(armed, &images, worker, &mut part);
            undo(&armed.changes, &self.variant.weights, &mut worker.weights);
        }
        part.cpu_seconds = began.elapsed().as_secs_f64();
        part
    }

    /// The sites of some images, where they have any of their own; counts those.
    fn transient_sites(
        &self,
        armed: &Armed,
        images: impl Iterator<Item = usize>,
        part: &mut Part,
    ) -> Option<Vec<Vec<FaultSite>>> {
        if !armed.faults.has_transient() {
            return None;
        }
        let permanent = armed.faults.permanent_sites();
        let sites = |image: usize| self.campaign.sites_of_image(armed.trial, &armed.faults, image as u64);
        let own: Vec<Vec<FaultSite>> = images.map(sites).collect();
        part.faults += own.iter().map(|sites| (sites.len() - permanent) as u64).sum::<u64>();
        Some(own)
    }

    /// Runs a trial through the whole network, on its chip if it has one.
    fn run_whole(&self, armed: &Armed, images: &[usize], worker: &mut Worker, part: &mut Part) {
        if let Some(chip) = &armed.chip {
            chip.mount(&mut worker.weights);
        }
        let pristine = &self.variant.weights;
        if armed.anew {
            let own = self.transient_sites(armed, images.iter().copied(), part).unwrap_or_default();
            for (image, sites) in images.iter().zip(&own) {
                let changes = changes(&self.variant.memory, sites);
                strike(&changes, &mut worker.weights);
                self.run_batch(slice::from_ref(image), Struck::All(sites), worker, part);
                undo(&changes, pristine, &mut worker.weights);
            }
        } else {
            strike(&armed.changes, &mut worker.weights);
            for images in images.chunks(self.most.min(chunk_size(&self.variant.program))) {
                let own = self.transient_sites(armed, images.iter().copied(), part);
                let struck = own.as_deref().map_or(Struck::All(&armed.activations), Struck::Each);
                self.run_batch(images, struck, worker, part);
            }
            undo(&armed.changes, pristine, &mut worker.weights);
        }
        worker.weights.unmount();
    }

    /// Runs some images through the whole network.
    fn run_batch(&self, images: &[usize], struck: Struck<'_>, worker: &mut Worker, part: &mut Part) {
        let program = &self.variant.program;
        let whole = &mut worker.whole;
        self.campaign.inputs.fill(images.iter().copied(), whole.input_mut(program, images.len()));
        whole.number(images.iter().copied());
        program.run_with(&worker.weights, whole, &mut self.variant.touch(struck));
        let outputs = whole.output(program).chunks_exact(program.output_len());
        images
            .iter()
            .zip(outputs)
            .for_each(|(&image, output)| self.classify(image, &Output::Logits(output), part));
    }

    fn run_beside_golden(&self, armed: &Armed, images: &[usize], worker: &mut Worker, part: &mut Part) {
        let Self { variant, .. } = self;
        let program = &variant.program;
        let Worker { weights, golden, faulty, margins, .. } = worker;
        let proofs = self.masking().zip(margins.as_deref());
        // In the order of the batch: the touch finds an image's sites by its place there.
        let own = armed.faults.has_transient().then(|| {
            let mut own = vec![Vec::new(); self.images.len()];
            let sites = self.transient_sites(armed, images.iter().copied(), part).unwrap_or_default();
            images.iter().zip(sites).for_each(|(&image, sites)| own[self.place(image)] = sites);
            own
        });
        let mut origins = Cow::Borrowed(&armed.origins);
        if let Some(own) = &own {
            let taps = own.iter().map(|sites| sites.iter().filter_map(|site| variant.struck_at(site)));
            origins.to_mut().set_image_taps(program, taps);
        }
        let struck = own.as_deref().map_or(Struck::All(&armed.activations), Struck::Each);
        let changes = || armed.changes.iter().map(|change| (change.parameter, change.index, change.value));
        let source = proofs
            .filter(|_| own.is_none() && armed.activations.is_empty())
            .and_then(|(masking, _)| masking.source(program, &variant.weights, changes()));
        let masked: Vec<bool> = images
            .iter()
            .map(|&image| {
                let known = source.as_ref().zip(proofs);
                known.is_some_and(|(source, (masking, margins))| {
                    margins.masks_source(masking, program, source, golden, self.place(image))
                })
            })
            .collect();
        let to_run: Vec<usize> = images
            .iter()
            .zip(&masked)
            .filter(|(_, masked)| !**masked)
            .map(|(&image, _)| self.place(image))
            .collect();
        let mut touch = variant.touch_images(struck);
        let beside = Beside { golden, proofs };
        program.run_faulty(weights, &origins, &to_run, beside, faulty, &mut touch);
        for (&image, masked) in images.iter().zip(masked) {
            let output = if masked { Output::Masked } else { Output::of(faulty, variant, self.place(image)) };
            self.classify(image, &output, part);
        }
    }

    /// An image's place in the batch.
    fn place(&self, image: usize) -> usize {
        image - self.images.start
    }

    /// How far differences travel, where images are left on that account. Finding it out takes a large network seconds: it must not be asked
    /// for elsewhere.
    fn masking(&self) -> Option<&Masking> {
        if self.manner == (Manner::BesideGolden { proofs: true }) { self.variant.masking() } else { None }
    }

    /// Runs a trial that strikes parameters anew for every image: one image after another.
    fn run_anew(&self, armed: &Armed, images: &[usize], worker: &mut Worker, part: &mut Part) {
        let Self { variant, .. } = self;
        let own = self.transient_sites(armed, images.iter().copied(), part).unwrap_or_default();
        for (&image, sites) in images.iter().zip(&own) {
            let changes: Vec<Change> = changes(&variant.memory, sites);
            let mut origins: Origins = variant.origins(&changes);
            for (tap, extent) in sites.iter().filter_map(|site| variant.struck_at(site)) {
                origins.add_tap(&variant.program, tap, extent);
            }
            strike(&changes, &mut worker.weights);
            let Worker { weights, golden, faulty, margins, .. } = worker;
            let proofs = self.masking().zip(margins.as_deref());
            let beside = Beside { golden, proofs };
            let mut touch = variant.touch_images(Struck::All(sites));
            variant.program.run_faulty(weights, &origins, &[self.place(image)], beside, faulty, &mut touch);
            self.classify(image, &Output::of(faulty, variant, self.place(image)), part);
            undo(&changes, &variant.weights, weights);
        }
    }

    /// Counts one image.
    fn classify(&self, image: usize, output: &Output<'_>, part: &mut Part) {
        let classes = self.variant.program.output_len();
        let golden = &self.golden.logits[image * classes..][..classes];
        let before = (part.near.is_some() && self.golden.is_near(image)).then_some(part.outcomes);
        let faulty = match output {
            Output::Masked => {
                part.masked_proven += 1;
                self.campaign.classify_masked(golden, image, &mut part.outcomes);
                golden
            }
            Output::Golden => {
                self.campaign.classify_image(golden, image, golden, &mut part.outcomes);
                golden
            }
            Output::Logits(faulty) => {
                self.campaign.classify_image(golden, image, faulty, &mut part.outcomes);
                faulty
            }
        };
        if let (Some(near), Some(before)) = (&mut part.near, before) {
            *near += part.outcomes.without(&before);
        }
        if self.predictions {
            part.predictions.push(top_class(faulty).map(|class| class as u8));
        }
    }
}
