//! What can be found out before anything is trained: whether all parts go together, and what they cost.

use std::time::Instant;

use anyhow::{Result, anyhow};
use temper_core::data::{Dataset, Split, load};
use temper_core::execution::{Program, logits};
use temper_core::memory::StorageSpec;
use temper_core::network::Model;
use temper_train::experiment::{Failures, PlannedCampaign, PlannedTraining, Stage};
use temper_train::training::Prepared;

use super::stage::Bench;
use crate::cli::campaign::plan::most_inferences;
use crate::cli::campaign::spec::Loaded;

/// A network is timed for at least so long.
const TIMED_SECONDS: f64 = 0.1;
/// Images that a network is timed with.
const TIMED_IMAGES: usize = 256;
/// Forward passes that a training step is worth, with its backward pass: the gradients of inputs and of weights take about as long each.
const PASSES_OF_A_STEP: f64 = 3.0;

/// What a stage costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Epochs or trials; of trials the most there can be.
    pub(super) units: u64,
    /// Images that go through the network, those of tests too; of a campaign the most there can be.
    pub(super) inferences: u64,
    /// The same in forward passes of one image.
    passes: f64,
    /// Seconds of one, if it was timed.
    pass_seconds: f64,
}

impl Cost {
    /// A rough guess of the time.
    pub(super) fn seconds(&self) -> f64 {
        self.passes * self.pass_seconds
    }
}

/// What is known of stages that have not been run.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Why some cannot be run.
    pub(super) failures: Failures,
    /// What the others cost.
    pub(super) costs: Vec<(Stage, Cost)>,
}

/// A network as it is before it is trained, or one from a file.
struct Network {
    model: Model,
    /// How its training stores it.
    storage: Vec<StorageSpec>,
    /// What its training costs; nothing, if it comes from a file.
    training: Cost,
}

impl Bench<'_> {
    /// Checks stages, and times their networks if wanted. A network that is yet to be trained stands in for the trained one.
    pub(super) fn check(&self, stages: &[Stage], is_timed: bool) -> Checked {
        let plan = &self.dir.plan;
        let training = |stage: &Stage| match *stage {
            Stage::Training(place) => Some(place),
            Stage::Campaign(place) => plan.campaigns[place].training,
        };
        let mut stages = stages.to_vec();
        stages.sort_by_key(|stage| (training(stage), *stage));
        let mut checked = Checked::default();
        // Stages of one training follow each other.
        for of_one in stages.chunk_by(|a, b| training(a).is_some() && training(a) == training(b)) {
            let network = match (training(&of_one[0]), of_one[0]) {
                (Some(place), _) => self.untrained(&plan.trainings[place], is_timed),
                (None, Stage::Campaign(place)) => self.given(&plan.campaigns[place], is_timed),
                (None, Stage::Training(_)) => continue,
            };
            for &stage in of_one {
                let cost = match (&network, stage) {
                    (Ok(network), Stage::Training(_)) => Ok(network.training),
                    (Ok(network), Stage::Campaign(place)) => self.campaign(&plan.campaigns[place], network),
                    (Err(error), _) => Err(anyhow!("{error:#}")),
                };
                match cost {
                    Ok(cost) => checked.costs.push((stage, cost)),
                    // What needs a training that cannot be run is no failure of its own.
                    Err(_) if network.is_err() && of_one[0] != stage => {}
                    Err(error) => {
                        checked.failures.insert(self.dir.relative(stage).to_owned(), format!("{error:#}"));
                    }
                }
            }
        }
        checked.costs.sort_by_key(|(stage, _)| *stage);
        checked
    }

    /// A training's network before its first step; where it starts from another training's, that one's.
    fn untrained(&self, training: &PlannedTraining, is_timed: bool) -> Result<Network> {
        let mut recipe = training.recipe.clone();
        let mut first = training;
        while let Some(start) = first.start {
            first = &self.dir.plan.trainings[start];
        }
        recipe.network = first.recipe.network.clone();
        let prepared = Prepared::new(recipe, self.places.base, self.places.data)?;
        for warning in prepared.warnings() {
            eprintln!("warning: {}: {warning}", training.variant);
        }
        let epochs = prepared.recipe.epochs();
        let (steps, tests) = (epochs * prepared.train.len(), (epochs + 1) * prepared.test.len());
        let Prepared { network, preprocessing, test, recipe, .. } = prepared;
        let model = Model { network, preprocessing };
        let pass_seconds = if is_timed { seconds_per_image(&model, test)? } else { 0.0 };
        let training = Cost {
            units: epochs as u64,
            inferences: (steps + tests) as u64,
            passes: PASSES_OF_A_STEP * steps as f64 + tests as f64,
            pass_seconds,
        };
        let storage = recipe.phases.last().map_or_else(Vec::new, |phase| phase.storage.clone());
        Ok(Network { model, storage, training })
    }

    /// The network that a campaign takes from a file.
    fn given(&self, campaign: &PlannedCampaign, is_timed: bool) -> Result<Network> {
        let spec = &campaign.spec;
        let model = Model::load(&self.places.base.join(&spec.model.file))?;
        let timed = || {
            let images = load(&spec.data.set, Split::Test, Some(TIMED_IMAGES), self.places.data);
            images.map_err(anyhow::Error::from).and_then(|images| seconds_per_image(&model, images))
        };
        let pass_seconds = if is_timed { timed()? } else { 0.0 };
        Ok(Network {
            training: Cost { units: 0, inferences: 0, passes: 0.0, pass_seconds },
            storage: Vec::new(),
            model,
        })
    }

    /// Resolves a campaign against a network.
    fn campaign(&self, campaign: &PlannedCampaign, network: &Network) -> Result<Cost> {
        let mut spec = campaign.spec.clone();
        spec.storage.splice(..0, network.storage.iter().cloned());
        let file = spec.model.file.clone();
        let place = format!("[campaign.{}]", campaign.name);
        let loaded = Loaded::with_model(
            &place,
            String::new(),
            spec,
            (network.model.clone(), &file),
            self.places.base,
            Some(self.places.data),
        )?;
        let resolved = loaded.campaign()?;
        let plan = resolved.plan();
        let inferences = most_inferences(plan).saturating_add(resolved.golden_runs() as u64 * plan.images);
        let pass_seconds = network.training.pass_seconds;
        Ok(Cost { units: plan.len(), inferences, passes: inferences as f64, pass_seconds })
    }
}

/// The time that an image takes through a network, of those that go together on the current rayon pool.
fn seconds_per_image(model: &Model, images: Dataset) -> Result<f64> {
    let images = images.take(TIMED_IMAGES)?;
    let inputs = model.preprocessing.bind(&images, model.network.input_shape())?;
    let (mut program, mut weights) = Program::compile(&model.network, &[], &[]);
    program.use_winograd(&mut weights);
    let run = || {
        let began = Instant::now();
        logits(&program, &weights, &inputs, &|_| {});
        began.elapsed().as_secs_f64()
    };
    // The first one finds everything cold.
    run();
    let (mut all, mut fastest) = (0.0, f64::INFINITY);
    while all < TIMED_SECONDS {
        let seconds = run();
        (all, fastest) = (all + seconds, fastest.min(seconds));
    }
    Ok(fastest / images.len() as f64)
}
