//! A campaign: a specification resolved against a network and a data set.

use super::error::CampaignError;
use super::identity::Identity;
use super::images::sample;
use super::plan::{Plan, Trial};
use super::resolver::{Conditions, Resolver};
use super::spec::{CampaignSpec, RecordSpec};
use super::variant::Variant;
use crate::data::{Dataset, Inputs, Preprocessing};
use crate::execution::IntegerLayer;
use crate::fault::{
    Fault, FaultList, FaultSite, Lifetime, ListedFault, ListedSite, image_stream, trial_stream,
};
use crate::hardware::Hardware;
use crate::memory::{Memory, TensorId};
use crate::network::{Network, Op};

/// A campaign resolved against a network and a data set, ready to run.
#[derive(Debug)]
pub struct Campaign<'a> {
    identity: Identity,
    plan: Plan,
    pub(super) seed: u64,
    record: RecordSpec,
    conditions: Vec<Resolved>,
    pub(super) variants: Vec<Variant>,
    pub(super) inputs: Inputs<'a>,
    /// Whether the network's outputs are probabilities already.
    pub(super) probabilities: bool,
}

/// A condition's faults in the memory of its variant.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) variant: usize,
    pub(super) faults: Vec<Struck>,
    /// For plans of one site a trial, the site of each draw.
    pub(super) chosen: Option<Chosen>,
    /// The layers that lie on a chip.
    pub(super) hardware: Hardware,
}

/// One `[[fault]]`.
#[derive(Debug)]
pub(super) enum Struck {
    Drawn(Fault),
    Listed(Vec<ListedSite>),
}

/// The sites that the draws of a condition strike.
#[derive(Debug)]
pub(super) enum Chosen {
    These(Vec<u64>),
    InOrder,
}

/// The faults of one trial, one entry for each `[[fault]]`.
#[derive(Debug, Clone)]
pub(super) struct TrialFaults {
    faults: Vec<TrialFault>,
}

/// What one `[[fault]]` strikes in a trial.
#[derive(Debug, Clone)]
struct TrialFault {
    /// The sites that strike every image.
    every_image: Vec<FaultSite>,
    /// The tensors of which single images are struck.
    anew: Vec<TensorId>,
    /// About how many sites strike a single image.
    anew_sites: usize,
}

impl TrialFaults {
    /// The sites that strike every image.
    pub(super) fn permanent(&self) -> impl Iterator<Item = &FaultSite> {
        self.faults.iter().flat_map(|fault| &fault.every_image)
    }

    /// Number of sites that strike every image.
    pub(super) fn permanent_sites(&self) -> usize {
        self.faults.iter().map(|fault| fault.every_image.len()).sum()
    }

    /// Whether single images are struck.
    pub(super) fn has_transient(&self) -> bool {
        self.transient_tensors().next().is_some()
    }

    /// The tensors of which single images are struck.
    pub(super) fn transient_tensors(&self) -> impl Iterator<Item = TensorId> {
        self.faults.iter().flat_map(|fault| fault.anew.iter().copied())
    }

    /// About how many sites strike a single image.
    pub(super) fn transient_sites_per_image(&self) -> usize {
        self.faults.iter().map(|fault| fault.anew_sites).sum()
    }
}

impl<'a> Campaign<'a> {
    /// Resolves a specification against a network and (already limited) data. `calibration` are the images from which the ranges of
    /// quantised activations are found (see [`CampaignSpec::needs_calibration`]).
    ///
    /// # Errors
    /// When a fault, the storage, the images or the number of classes do not fit the network.
    pub fn new(
        spec: &CampaignSpec,
        network: &Network,
        preprocessing: &Preprocessing,
        data: &'a Dataset,
        calibration: Option<&Dataset>,
    ) -> Result<Self, CampaignError> {
        spec.check()?;
        let inputs = preprocessing.bind(data, network.input_shape())?;
        let resolver = Resolver { spec, network, images: data.len() };
        let combinations = spec.sweep.expand(spec, |axis, combination| resolver.each(axis, combination))?;
        let Conditions { memories, resolved, planned } = resolver.conditions(&combinations)?;
        if calibration.is_none() && memories.iter().any(Memory::needs_calibration) {
            return Err(CampaignError::NoCalibration);
        }
        let images = calibration.map(|data| preprocessing.bind(data, network.input_shape())).transpose()?;
        let variants: Vec<Variant> = memories
            .into_iter()
            .map(|memory| Variant::new(memory, images.as_ref(), spec.arithmetic))
            .collect();
        variants[0].program.check_classes(data)?;
        Ok(Self {
            identity: Identity::new(spec, network, preprocessing, data, calibration),
            plan: Plan {
                conditions: planned,
                precision: spec.trials.precision,
                images: data.len() as u64,
                draw_images: spec.trials.images_of(data.len() as u64)?,
                image_macs: network.total_multiply_accumulates(),
            },
            seed: spec.seed,
            record: spec.record,
            conditions: resolved,
            variants,
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

    /// Number of images there are; a trial runs all of them, or some.
    pub fn images(&self) -> usize {
        self.inputs.len()
    }

    /// The places among the campaign's images of those that a trial runs, ascending; `None` for all of them. A pure function of the campaign's
    /// seed, the trial's draw and its number of images, and of the golden outputs: the same under every condition that stores the network
    /// alike.
    pub fn images_of(&self, golden: &super::Golden, trial: Trial) -> Option<Vec<usize>> {
        let strata = &golden.runs[self.variant_number(trial)].strata;
        (trial.images != self.plan.strata()).then(|| sample(self.seed, trial.draw, trial.images, strata))
    }

    /// Whether an image is near to another answer under a condition: see [`ByMargin`](crate::statistics::ByMargin).
    pub fn is_near(&self, golden: &super::Golden, condition: usize, image: usize) -> bool {
        golden.runs[self.conditions[condition].variant].is_near(image)
    }

    /// Number of ways in which the conditions store the network: so many golden runs there are.
    pub fn golden_runs(&self) -> usize {
        self.variants.len()
    }

    /// The golden run of a condition: number of images whose label is the top class.
    pub fn golden_correct(&self, golden: &super::Golden, condition: usize) -> u64 {
        golden.runs[self.golden_run(condition)].correct
    }

    /// The golden run of a condition: the network's outputs for all images.
    ///
    /// **Shapes**: `[images, classes]`.
    pub fn golden_logits<'g>(&self, golden: &'g super::Golden, condition: usize) -> &'g [f32] {
        &golden.runs[self.golden_run(condition)].logits
    }

    /// Which golden run is a condition's: conditions that store and compute the network alike share one.
    pub(super) fn golden_run(&self, condition: usize) -> usize {
        self.conditions[condition].variant
    }

    /// The memory in which a condition stores the network.
    pub fn memory(&self, condition: usize) -> &Memory {
        &self.variants[self.conditions[condition].variant].memory
    }

    /// The layers that a condition computes in integers; none with [`Arithmetic::Float`](super::Arithmetic).
    pub fn integer_layers(&self, condition: usize) -> &[IntegerLayer] {
        &self.variants[self.conditions[condition].variant].integer
    }

    pub(super) fn variant_number(&self, trial: Trial) -> usize {
        self.conditions[trial.condition].variant
    }

    pub(super) fn variant_of(&self, trial: Trial) -> &Variant {
        &self.variants[self.variant_number(trial)]
    }

    /// The hardware of every condition.
    pub(super) fn hardware(&self) -> impl Iterator<Item = &Hardware> {
        self.conditions.iter().map(|condition| &condition.hardware)
    }

    /// The layers that lie on a trial's chip.
    pub(super) fn hardware_of(&self, trial: Trial) -> &Hardware {
        &self.conditions[trial.condition].hardware
    }

    pub(super) fn records_predictions(&self) -> bool {
        self.record.predictions
    }

    pub(super) fn records_confidence(&self) -> bool {
        self.record.confidence
    }

    /// The faults of a trial: a pure function of the campaign's seed and the trial's id.
    pub(super) fn faults_of(&self, trial: Trial) -> TrialFaults {
        let condition = &self.conditions[trial.condition];
        let mut stream = trial_stream(self.seed, trial.id);
        let mut of_fault = |fault: &Struck| match fault {
            Struck::Drawn(fault) if fault.lifetime() == Lifetime::Transient => TrialFault {
                every_image: Vec::new(),
                anew: fault.tensors().collect(),
                anew_sites: fault.expected_sites(),
            },
            Struck::Drawn(fault) => {
                let every_image = match &condition.chosen {
                    None => fault.draw(&mut stream),
                    Some(Chosen::InOrder) => vec![fault.site(trial.draw, &mut stream)],
                    Some(Chosen::These(sites)) => vec![fault.site(sites[trial.draw as usize], &mut stream)],
                };
                TrialFault { every_image, anew: Vec::new(), anew_sites: 0 }
            }
            Struck::Listed(listed) => {
                let (single, every): (Vec<&ListedSite>, Vec<&ListedSite>) =
                    of_draw(listed, trial.draw).partition(|site| site.image.is_some());
                TrialFault {
                    every_image: every.iter().map(|site| site.site).collect(),
                    anew: single.iter().map(|site| site.site.tensor).collect(),
                    anew_sites: single.len(),
                }
            }
        };
        TrialFaults { faults: condition.faults.iter().map(&mut of_fault).collect() }
    }

    /// The sites that strike one image of a trial, for each fault.
    fn sites_by_fault(&self, trial: Trial, faults: &TrialFaults, image: u64) -> Vec<Vec<FaultSite>> {
        let mut stream = image_stream(self.seed, trial.id, image);
        let mut of_fault = |(fault, of_trial): (&Struck, &TrialFault)| match fault {
            _ if of_trial.anew.is_empty() => of_trial.every_image.clone(),
            Struck::Drawn(fault) => fault.draw(&mut stream),
            Struck::Listed(listed) => {
                let strikes = |site: &&ListedSite| site.image.is_none_or(|only| only == image);
                of_draw(listed, trial.draw).filter(strikes).map(|site| site.site).collect()
            }
        };
        self.conditions[trial.condition].faults.iter().zip(&faults.faults).map(&mut of_fault).collect()
    }

    /// All sites that strike one image of a trial, in the order of the faults.
    pub(super) fn sites_of_image(&self, trial: Trial, faults: &TrialFaults, image: u64) -> Vec<FaultSite> {
        self.sites_by_fault(trial, faults, image).concat()
    }

    /// Whether a trial strikes parameters anew for every image, so that each image runs alone.
    pub(super) fn strikes_parameters_anew(&self, trial: Trial, faults: &TrialFaults) -> bool {
        let memory = &self.variant_of(trial).memory;
        faults.transient_tensors().any(|id| memory.tensor(id).parameter().is_some())
    }

    /// The sites of a trial that strike every image, in the order of the faults.
    pub fn permanent_sites(&self, trial: Trial) -> Vec<FaultSite> {
        self.faults_of(trial).permanent().copied().collect()
    }

    /// All sites of a trial that strike one image, if any are drawn anew for every image.
    pub fn transient_sites(&self, trial: Trial, image: u64) -> Option<Vec<FaultSite>> {
        let faults = self.faults_of(trial);
        faults.has_transient().then(|| self.sites_of_image(trial, &faults, image))
    }

    /// The faults of a trial as rows of a list, fault after fault; those drawn anew once for every image that it runs: for
    /// `images` ([`images_of`](Self::images_of) it), or all.
    pub fn listed_faults(&self, trial: Trial, images: Option<&[usize]>) -> FaultList {
        let memory = &self.variant_of(trial).memory;
        let row = |image, site: &FaultSite| ListedFault::of_site(memory, None, image, site);
        let faults = self.faults_of(trial);
        let images: Vec<u64> = match images {
            _ if !faults.has_transient() => Vec::new(),
            Some(images) => images.iter().map(|&image| image as u64).collect(),
            None => (0..self.images() as u64).collect(),
        };
        let sites_by_fault = |&image: &u64| (image, self.sites_by_fault(trial, &faults, image));
        let by_image: Vec<_> = images.iter().map(sites_by_fault).collect();
        let rows = |(i, fault): (usize, &Struck)| -> FaultList {
            match fault {
                Struck::Listed(listed) => {
                    of_draw(listed, trial.draw).map(|site| row(site.image, &site.site)).collect()
                }
                Struck::Drawn(_) if faults.faults[i].anew.is_empty() => {
                    faults.faults[i].every_image.iter().map(|site| row(None, site)).collect()
                }
                Struck::Drawn(_) => {
                    let of_image = |(image, by_fault): &(u64, Vec<Vec<FaultSite>>)| -> FaultList {
                        by_fault[i].iter().map(|site| row(Some(*image), site)).collect()
                    };
                    by_image.iter().flat_map(of_image).collect()
                }
            }
        };
        self.conditions[trial.condition].faults.iter().enumerate().flat_map(rows).collect()
    }
}

/// The listed sites that a draw has.
fn of_draw(listed: &[ListedSite], draw: u64) -> impl Iterator<Item = &ListedSite> {
    listed.iter().filter(move |site| site.draw.is_none_or(|only| only == draw))
}

/// Whether a network's outputs are those of a softmax, perhaps in another shape.
fn ends_in_softmax(network: &Network) -> bool {
    let mut last = network.node(network.output());
    while matches!(last.op, Op::Flatten | Op::Reshape { .. } | Op::Dropout) {
        last = network.node(last.inputs[0]);
    }
    matches!(last.op, Op::Softmax { .. })
}
