//! A campaign: a specification resolved against a network and a data set.

use thiserror::Error;

use super::identity::Identity;
use super::plan::{Condition, Plan, Trial};
use super::spec::{CampaignSpec, SpecError, SpecPath};
use super::sweep::{BIT, Combination, LAYER, SweptValue};
use super::trials::Sampling;
use super::variant::Variant;
use crate::data::{Dataset, Inputs, Preprocessing, PreprocessingError};
use crate::execution::{ClassesError, Program};
use crate::fault::{
    Fault, FaultError, FaultList, FaultSite, FaultSpec, Lifetime, ListError, ListedFault, ListedSite, Number,
    condition_stream, image_stream, resolve_list, trial_stream,
};
use crate::memory::{Layers, Memory, MemoryError, Place, Selection, StorageSpec, Target, TensorId};
use crate::network::{Network, Op};

/// A campaign resolved against a network and a data set, ready to run.
#[derive(Debug)]
pub struct Campaign<'a> {
    identity: Identity,
    plan: Plan,
    seed: u64,
    predictions: bool,
    conditions: Vec<Resolved>,
    pub(super) variants: Vec<Variant>,
    pub(super) inputs: Inputs<'a>,
    /// Whether the network's outputs are probabilities already.
    pub(super) probabilities: bool,
}

/// A condition's faults in the memory of its variant.
#[derive(Debug)]
struct Resolved {
    variant: usize,
    faults: Vec<Struck>,
    /// For plans of one site a trial, the site of each draw.
    chosen: Option<Chosen>,
}

/// One `[[fault]]`.
#[derive(Debug)]
enum Struck {
    Drawn(Fault),
    Listed(Vec<ListedSite>),
}

/// The sites that the draws of a condition strike.
#[derive(Debug)]
enum Chosen {
    These(Vec<u64>),
    InOrder,
}

/// Why a campaign cannot run.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// The specification makes no sense by itself.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A fault does not fit the network.
    #[error("fault {number}{}", under(condition))]
    Fault {
        /// Which `[[fault]]`, from 1.
        number: usize,
        /// Which condition, such as `count = 27`; empty without a sweep.
        condition: String,
        /// What is wrong.
        source: FaultError,
    },
    /// A listed fault does not fit the network.
    #[error("fault {number}")]
    List {
        /// Which `[[fault]]`, from 1.
        number: usize,
        /// What is wrong.
        source: ListError,
    },
    /// The network cannot be stored as wanted.
    #[error("storage{}", under(condition))]
    Storage {
        /// Which condition; empty without a sweep.
        condition: String,
        /// What is wrong.
        source: MemoryError,
    },
    /// Activations are quantised, but there are no images to find their ranges.
    #[error("activations are quantised: their ranges need the images of [calibration]")]
    NoCalibration,
    /// The images do not fit the network.
    #[error(transparent)]
    Data(#[from] PreprocessingError),
    /// The network has another number of outputs than the data has classes.
    #[error(transparent)]
    Classes(#[from] ClassesError),
}

fn under(condition: &str) -> String {
    if condition.is_empty() { String::new() } else { format!(", {condition}") }
}

impl CampaignError {
    /// Where in the specification the error is, as far as it is in it.
    pub fn path(&self) -> Option<SpecPath> {
        let path = |keys: &[&str]| Some(keys.iter().map(|&key| key.to_owned()).collect());
        match self {
            Self::Spec(SpecError::Value { path, .. }) => Some(path.clone()),
            Self::Fault { number, source, .. } => {
                let number = number.to_string();
                match source.field() {
                    Some(field) => path(&["fault", &number, field]),
                    None => path(&["fault", &number]),
                }
            }
            Self::List { number, .. } => path(&["fault", &number.to_string(), "list"]),
            Self::Storage { source, .. } => path(&["storage", "1", source.field()]),
            Self::Spec(SpecError::Toml(_)) | Self::NoCalibration | Self::Data(_) | Self::Classes { .. } => {
                None
            }
        }
    }
}

/// The faults of one trial.
#[derive(Debug, Clone)]
pub(super) struct TrialFaults {
    /// For each fault: its sites if they are permanent, else what may be struck anew for every image.
    faults: Vec<OfFault>,
}

#[derive(Debug, Clone)]
enum OfFault {
    Permanent(Vec<FaultSite>),
    Transient { tensors: Vec<TensorId>, per_image: usize },
}

impl TrialFaults {
    pub(super) fn permanent(&self) -> impl Iterator<Item = &FaultSite> {
        self.faults.iter().flat_map(|fault| match fault {
            OfFault::Permanent(sites) => sites.as_slice(),
            OfFault::Transient { .. } => &[],
        })
    }

    pub(super) fn permanent_sites(&self) -> usize {
        self.permanent().count()
    }

    pub(super) fn has_transient(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, OfFault::Transient { .. }))
    }

    /// The tensors that may be struck anew for every image.
    pub(super) fn transient_tensors(&self) -> impl Iterator<Item = TensorId> {
        self.faults.iter().flat_map(|fault| match fault {
            OfFault::Permanent(_) => [].iter().copied(),
            OfFault::Transient { tensors, .. } => tensors.iter().copied(),
        })
    }

    /// About how many sites are drawn anew for every image.
    pub(super) fn transient_sites_per_image(&self) -> usize {
        let per_image = |fault: &OfFault| match fault {
            OfFault::Permanent(_) => 0,
            OfFault::Transient { per_image, .. } => *per_image,
        };
        self.faults.iter().map(per_image).sum()
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
        Program::compile(network, &[], &[]).0.check_classes(data)?;
        let resolver = Resolver { spec, network };
        let combinations =
            spec.sweep.expand(spec, &mut |axis, combination| resolver.each(axis, combination))?;
        let (variants, conditions, planned) = resolver.conditions(&combinations)?;
        if calibration.is_none() && variants.iter().any(Memory::needs_calibration) {
            return Err(CampaignError::NoCalibration);
        }
        let images = calibration.map(|data| preprocessing.bind(data, network.input_shape())).transpose()?;
        let variant = |memory| {
            Variant::new(memory, images.as_ref())
                .map_err(|source| CampaignError::Storage { condition: String::new(), source })
        };
        let plan = Plan { conditions: planned, precision: spec.trials.precision };
        Ok(Self {
            identity: Identity::new(spec, network, preprocessing, data, calibration),
            plan,
            seed: spec.seed,
            predictions: spec.record.predictions,
            conditions,
            variants: variants.into_iter().map(variant).collect::<Result<_, _>>()?,
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

    /// Number of ways in which the conditions store the network: so many golden runs there are.
    pub fn golden_runs(&self) -> usize {
        self.variants.len()
    }

    /// The golden run of a condition: number of images whose label is the top class.
    pub fn golden_correct(&self, golden: &super::Golden, condition: usize) -> u64 {
        golden.runs[self.conditions[condition].variant].correct
    }

    /// The memory in which a condition stores the network.
    pub fn memory(&self, condition: usize) -> &Memory {
        &self.variants[self.conditions[condition].variant].memory
    }

    pub(super) fn variant_number(&self, trial: Trial) -> usize {
        self.conditions[trial.condition].variant
    }

    pub(super) fn variant_of(&self, trial: Trial) -> &Variant {
        &self.variants[self.variant_number(trial)]
    }

    pub(super) fn records_predictions(&self) -> bool {
        self.predictions
    }

    /// The faults of a trial: a pure function of the campaign's seed and the trial's id.
    pub(super) fn faults_of(&self, trial: Trial) -> TrialFaults {
        let condition = &self.conditions[trial.condition];
        let mut stream = trial_stream(self.seed, trial.id);
        let mut of_fault = |fault: &Struck| match fault {
            Struck::Drawn(fault) if fault.lifetime() == Lifetime::Transient => {
                OfFault::Transient { tensors: fault.tensors().collect(), per_image: fault.expected_sites() }
            }
            Struck::Drawn(fault) => OfFault::Permanent(match &condition.chosen {
                None => fault.draw(&mut stream),
                Some(Chosen::InOrder) => vec![fault.site(trial.draw, &mut stream)],
                Some(Chosen::These(sites)) => vec![fault.site(sites[trial.draw as usize], &mut stream)],
            }),
            Struck::Listed(listed) => {
                let mine = listed.iter().filter(|site| site.draw.is_none_or(|draw| draw == trial.draw));
                let for_one: Vec<TensorId> =
                    mine.clone().filter(|site| site.image.is_some()).map(|site| site.site.tensor).collect();
                if for_one.is_empty() {
                    OfFault::Permanent(mine.map(|site| site.site).collect())
                } else {
                    OfFault::Transient {
                        tensors: mine.map(|site| site.site.tensor).collect(),
                        per_image: listed.len(),
                    }
                }
            }
        };
        TrialFaults { faults: condition.faults.iter().map(&mut of_fault).collect() }
    }

    /// All sites that strike one image of a trial, in the order of the faults.
    pub(super) fn sites_of_image(&self, trial: Trial, faults: &TrialFaults, image: u64) -> Vec<FaultSite> {
        let mut stream = image_stream(self.seed, trial.id, image);
        let mut sites = Vec::new();
        for (fault, of_fault) in self.conditions[trial.condition].faults.iter().zip(&faults.faults) {
            match (fault, of_fault) {
                (_, OfFault::Permanent(permanent)) => sites.extend_from_slice(permanent),
                (Struck::Drawn(fault), OfFault::Transient { .. }) => sites.extend(fault.draw(&mut stream)),
                (Struck::Listed(listed), OfFault::Transient { .. }) => {
                    let strikes = |site: &&ListedSite| {
                        site.draw.is_none_or(|draw| draw == trial.draw)
                            && site.image.is_none_or(|only| only == image)
                    };
                    sites.extend(listed.iter().filter(strikes).map(|site| site.site));
                }
            }
        }
        sites
    }

    /// Whether a trial strikes parameters anew for every image, so that each image runs alone.
    pub(super) fn strikes_parameters_anew(&self, trial: Trial, faults: &TrialFaults) -> bool {
        let memory = &self.variant_of(trial).memory;
        faults.transient_tensors().any(|id| memory.tensor(id).parameter().is_some())
    }

    /// The faults of a trial as rows of a list: those that strike every image, or where any is drawn anew, those of every image.
    pub fn listed_faults(&self, trial: Trial) -> FaultList {
        let faults = self.faults_of(trial);
        let memory = &self.variant_of(trial).memory;
        let row = |image, site: &FaultSite| ListedFault::of_site(memory, None, image, site);
        if !faults.has_transient() {
            return faults.permanent().map(|site| row(None, site)).collect();
        }
        let of_image = |image: u64| {
            let sites = self.sites_of_image(trial, &faults, image);
            sites.iter().map(|site| row(Some(image), site)).collect::<FaultList>()
        };
        (0..self.images() as u64).flat_map(of_image).collect()
    }
}

/// Resolves conditions.
struct Resolver<'a> {
    spec: &'a CampaignSpec,
    network: &'a Network,
}

impl Resolver<'_> {
    /// How a combination stores the network.
    fn storage(&self, combination: &Combination) -> Vec<StorageSpec> {
        self.spec.storage_with(&combination.storage, &combination.faults)
    }

    /// The memory in which a combination stores the network.
    fn memory(&self, combination: &Combination) -> Result<Memory, CampaignError> {
        let listed = layers_of_lists(combination);
        Memory::new(self.network, &self.storage(combination), &selections(combination, &listed))
            .map_err(|source| CampaignError::Storage { condition: label(combination), source })
    }

    /// The values of an axis that goes through each layer or bit.
    fn each(&self, axis: &str, combination: &Combination) -> Result<Vec<SweptValue>, CampaignError> {
        let memory = self.memory(combination)?;
        let mut values: Vec<SweptValue> = Vec::new();
        for (i, fault) in combination.faults.iter().enumerate().filter(|(_, fault)| fault.list.is_none()) {
            let error =
                |source| CampaignError::Fault { number: i + 1, condition: label(combination), source };
            let tensors = memory
                .select(fault.target, &fault.layers, fault.place)
                .map_err(|source| error(FaultError::Memory(source)))?;
            for id in tensors {
                let found = match axis {
                    BIT => fault
                        .bits_in(memory.tensor(id))
                        .map_err(error)?
                        .into_iter()
                        .map(|bit| SweptValue::Integer(bit.into()))
                        .collect(),
                    _ => vec![SweptValue::Text(memory.tensor(id).layer.clone())],
                };
                for value in found {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
        }
        debug_assert!(axis == BIT || axis == LAYER);
        Ok(values)
    }

    /// The memories, each with the taps of all its conditions; the conditions resolved, and as planned.
    fn conditions(
        &self,
        combinations: &[Combination],
    ) -> Result<(Vec<Memory>, Vec<Resolved>, Vec<Condition>), CampaignError> {
        let mut variants: Vec<(Vec<StorageSpec>, Memory)> = Vec::new();
        let mut variant_of = Vec::with_capacity(combinations.len());
        for combination in combinations {
            let storage = self.storage(combination);
            let known = variants.iter().position(|(known, _)| *known == storage);
            if let Some(number) = known {
                let listed = layers_of_lists(combination);
                variants[number]
                    .1
                    .add_taps(&selections(combination, &listed))
                    .map_err(|source| CampaignError::Storage { condition: label(combination), source })?;
            } else {
                variants.push((storage, self.memory(combination)?));
            }
            variant_of.push(known.unwrap_or(variants.len() - 1));
        }
        let mut resolved = Vec::with_capacity(combinations.len());
        let mut planned = Vec::with_capacity(combinations.len());
        for (id, (combination, variant)) in combinations.iter().zip(variant_of).enumerate() {
            let faults = self.faults(combination, &variants[variant].1)?;
            let drawn = faults.iter().filter_map(|fault| match fault {
                Struck::Drawn(fault) => Some(fault.sites()),
                Struck::Listed(_) => None,
            });
            let sites = drawn.sum();
            let draws = self.spec.trials.draws(sites);
            let chosen = match self.spec.trials.sampling() {
                Sampling::Independent => None,
                Sampling::Exhaustive => Some(Chosen::InOrder),
                Sampling::Distinct => {
                    let mut stream = condition_stream(self.spec.seed, id as u64);
                    let chosen = rand::seq::index::sample(&mut stream, sites as usize, draws as usize);
                    Some(Chosen::These(chosen.into_iter().map(|site| site as u64).collect()))
                }
            };
            resolved.push(Resolved { variant, faults, chosen });
            planned.push(Condition { id, swept: combination.swept.clone(), sites, draws });
        }
        if planned.iter().try_fold(0u64, |sum, condition| sum.checked_add(condition.draws)).is_none() {
            let reason = "more trials than can be numbered";
            return Err(SpecError::value(&["trials"], reason).into());
        }
        Ok((variants.into_iter().map(|(_, memory)| memory).collect(), resolved, planned))
    }

    fn faults(&self, combination: &Combination, memory: &Memory) -> Result<Vec<Struck>, CampaignError> {
        let number = match self.spec.trials.sampling() {
            Sampling::Independent => Number::Specified,
            Sampling::Distinct | Sampling::Exhaustive => Number::One,
        };
        if number == Number::One && (combination.faults.len() != 1 || combination.faults[0].list.is_some()) {
            let reason = "a statistical or exhaustive campaign strikes one site a trial: expected one [[fault]] that is drawn";
            return Err(SpecError::value(&["trials"], reason).into());
        }
        let resolve =
            |(i, fault): (usize, &FaultSpec)| match &fault.listed {
                Some(list) => resolve_list(list, memory)
                    .map(Struck::Listed)
                    .map_err(|source| CampaignError::List { number: i + 1, source }),
                None => fault.resolve(memory, number).map(Struck::Drawn).map_err(|source| {
                    CampaignError::Fault { number: i + 1, condition: label(combination), source }
                }),
            };
        combination.faults.iter().enumerate().map(resolve).collect()
    }
}

/// The layers that listed faults name.
fn layers_of_lists(combination: &Combination) -> Vec<(Target, Layers, Option<Place>)> {
    let listed = combination.faults.iter().flat_map(|fault| fault.listed.iter().flatten());
    listed.map(|fault| (fault.target, fault.layers(), fault.place)).collect()
}

/// What a combination strikes; `listed` is [`layers_of_lists`].
fn selections<'a>(
    combination: &'a Combination,
    listed: &'a [(Target, Layers, Option<Place>)],
) -> Vec<Selection<'a>> {
    let drawn = combination.faults.iter().filter(|fault| fault.list.is_none());
    let drawn = drawn.map(|fault| (fault.target, &fault.layers, fault.place));
    drawn.chain(listed.iter().map(|(target, layers, place)| (*target, layers, *place))).collect()
}

fn label(combination: &Combination) -> String {
    Condition { id: 0, swept: combination.swept.clone(), sites: 0, draws: 0 }.label()
}

/// Whether a network's outputs are those of a softmax, perhaps in another shape.
fn ends_in_softmax(network: &Network) -> bool {
    let mut last = network.node(network.output());
    while matches!(last.op, Op::Flatten | Op::Reshape { .. } | Op::Dropout) {
        last = network.node(last.inputs[0]);
    }
    matches!(last.op, Op::Softmax { .. })
}
