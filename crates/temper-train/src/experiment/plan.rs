//! From an experiment to the trainings and campaigns that its variants need.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use temper_core::ContentHash;
use temper_core::campaign::CampaignSpec;
use temper_core::data::Split;
use toml::Value;

use super::error::ExperimentError;
use super::patch;
use super::resolve::{NOTHING_STRUCK, Resolved};
use super::spec::{Axis, ExperimentSpec, NamedChange, StruckSpec, TrainedEpoch, label};
use crate::recipe::RecipeSpec;

/// Version of the format of an experiment's directory.
pub const FORMAT_VERSION: u32 = 1;

/// More variants than anyone wants.
const MOST_VARIANTS: usize = 10_000;

/// Digits of a hash in a folder's name.
const DIGITS: usize = 8;

/// An experiment resolved: what its directory's `experiment.json` holds. Equal trainings and campaigns of several variants are made once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentPlan {
    /// Version of the directory's format.
    pub format_version: u32,
    /// What the report is called; empty if the experiment does not say.
    pub title: String,
    /// What is compared.
    pub variants: Vec<Variant>,
    /// What is trained; each after that which it starts from.
    pub trainings: Vec<PlannedTraining>,
    /// What strikes networks.
    pub campaigns: Vec<PlannedCampaign>,
}

/// A variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name; unique.
    pub name: String,
    /// The same without seeds: variants of one group are repetitions.
    pub group: String,
    /// The place of the variant that it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<usize>,
    /// The place of its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<usize>,
    /// Which network is struck, where one is trained.
    pub epoch: TrainedEpoch,
    /// The places of its campaigns.
    pub campaigns: Vec<usize>,
    /// Why it makes no sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTraining {
    /// Its folder, in the experiment's directory.
    pub folder: PathBuf,
    /// The first variant that needs it.
    pub variant: String,
    /// The place of the training whose network it starts from; the recipe's `file` is then below the experiment's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// How.
    pub recipe: RecipeSpec,
    /// A hash of all that its result depends on.
    pub key: String,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCampaign {
    /// Its folder, in the experiment's directory.
    pub folder: PathBuf,
    /// What it is called in the experiment.
    pub name: String,
    /// The first variant that needs it.
    pub variant: String,
    /// The place of the training whose network it strikes; the specification's model file is then below the experiment's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<usize>,
    /// How. How its network was trained to be stored comes before its own `storage`.
    pub spec: CampaignSpec,
    /// A hash of all that its records depend on.
    pub key: String,
}

/// The first so many images of a part of a data set, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Images {
    /// The data set's name.
    pub set: String,
    /// Which part.
    pub split: Split,
    /// How many; all, if absent.
    pub limit: Option<usize>,
}

/// What a plan has to know of the world.
pub struct World<'a> {
    /// The hash of images, or why they cannot be read.
    pub data: &'a (dyn Fn(&Images) -> Result<String, String> + 'a),
    /// The hash of a model file, of a path as the experiment gives it; or why it cannot be read.
    pub model: &'a dyn Fn(&Path) -> Result<String, String>,
    /// The folders of trainings and campaigns that the experiment's directory has: those of equal hashes are used again.
    pub folders: &'a [PathBuf],
}

impl ExperimentSpec {
    /// Resolves all variants. One that makes no sense says so, and takes no other with it.
    ///
    /// # Errors
    /// When names, axes or numbers of variants make no sense, or no variant does.
    pub fn plan(&self, world: &World<'_>) -> Result<ExperimentPlan, ExperimentError> {
        let (axes, changes) = (self.axes()?, self.named_changes()?);
        let points = points(&axes, changes.len())?;
        let mut planner = Planner {
            spec: self,
            world,
            axes: &axes,
            changes: &changes,
            points: &points,
            plan: ExperimentPlan {
                format_version: FORMAT_VERSION,
                title: self.title.clone().unwrap_or_default(),
                variants: Vec::new(),
                trainings: Vec::new(),
                campaigns: Vec::new(),
            },
        };
        for change in 0..changes.len() {
            for point in 0..points.len() {
                planner.add(change, point);
            }
        }
        let plan = planner.plan;
        if plan.variants.iter().all(|variant| variant.problem.is_some())
            && let Some(Variant { name, problem: Some(reason), .. }) = plan.variants.first()
        {
            return Err(ExperimentError::Variant { variant: name.clone(), reason: reason.clone() });
        }
        Ok(plan)
    }
}

/// All combinations of the axes' values, by their places, the last axis fastest.
fn points(axes: &[Axis], changes: usize) -> Result<Vec<Vec<usize>>, ExperimentError> {
    let all = axes.iter().try_fold(changes, |all: usize, axis| all.checked_mul(axis.values.len()));
    if all.is_none_or(|all| all > MOST_VARIANTS) {
        return Err(ExperimentError::value("[grid]", format!("more than {MOST_VARIANTS} variants")));
    }
    let mut points = vec![Vec::new()];
    for axis in axes {
        let longer = |point: &Vec<usize>| {
            let point = point.clone();
            (0..axis.values.len()).map(move |value| [point.as_slice(), &[value]].concat())
        };
        points = points.iter().flat_map(longer).collect();
    }
    Ok(points)
}

struct Planner<'a> {
    spec: &'a ExperimentSpec,
    world: &'a World<'a>,
    axes: &'a [Axis],
    changes: &'a [NamedChange],
    points: &'a [Vec<usize>],
    plan: ExperimentPlan,
}

impl Planner<'_> {
    /// Adds the variant of a change at a point.
    fn add(&mut self, change: usize, point: usize) {
        let [name, group] = [true, false].map(|seeds| self.name(change, point, seeds));
        let mut variant = Variant {
            name,
            group,
            baseline: self.baseline(change, point),
            training: None,
            epoch: TrainedEpoch::default(),
            campaigns: Vec::new(),
            problem: None,
        };
        if let Err(reason) =
            self.resolve(change, point).and_then(|resolved| self.need(&mut variant, point, resolved))
        {
            variant.problem = Some(reason);
        }
        self.plan.variants.push(variant);
    }

    fn name(&self, change: usize, point: usize, with_seeds: bool) -> String {
        let coordinate = |(axis, &value): (&Axis, &usize)| {
            let label = label(&axis.values[value]);
            // Words speak for themselves.
            if axis.values.iter().all(|value| value.is_str() || value.is_table()) {
                label
            } else {
                format!("{} {label}", axis.name)
            }
        };
        let axes = self.axes.iter().zip(&self.points[point]);
        let coordinates = axes.filter(|(axis, _)| with_seeds || !axis.is_seed()).map(coordinate);
        let parts: Vec<String> = self.changes[change].name.clone().into_iter().chain(coordinates).collect();
        if parts.is_empty() { "base".to_owned() } else { parts.join(", ") }
    }

    /// What a variant is compared with: the named change that it names, or the first, at the same point; where there is only one, the grid's first point with the same seeds.
    fn baseline(&self, change: usize, point: usize) -> Option<usize> {
        let first_with_same_seeds = || {
            let mut at = self.points[point].clone();
            for (axis, value) in self.axes.iter().zip(&mut at) {
                if !axis.is_seed() {
                    *value = 0;
                }
            }
            self.points.iter().position(|point| *point == at)
        };
        let compare_with = &self.changes[change].compare_with;
        let other = compare_with
            .as_ref()
            .and_then(|name| self.changes.iter().position(|change| change.name.as_ref() == Some(name)));
        let baseline = match (other, self.changes.len()) {
            (Some(other), _) => Some(other * self.points.len() + point),
            (None, 2..) => Some(point),
            (None, _) => first_with_same_seeds(),
        };
        baseline.filter(|&baseline| change * self.points.len() + point != baseline)
    }

    fn resolve(&self, change: usize, point: usize) -> Result<Resolved, String> {
        let mut table = self.spec.base();
        patch::apply(&mut table, &Value::Table(self.changes[change].patch.clone()))?;
        for (axis, &value) in self.axes.iter().zip(&self.points[point]) {
            patch::apply(&mut table, &patch::at(&axis.path, &axis.values[value]))?;
        }
        Resolved::new(table)
    }

    /// Adds what a variant needs.
    fn need(&mut self, variant: &mut Variant, point: usize, resolved: Resolved) -> Result<(), String> {
        let Resolved { recipe, start, struck, campaigns } = resolved;
        variant.epoch = struck.epoch.unwrap_or_default();
        if let Some(recipe) = recipe {
            variant.training = Some(self.training(&variant.name, point, recipe, start.as_deref())?);
        }
        for (name, spec) in campaigns {
            let campaign = self.campaign(&variant.name, (name, spec), &struck, variant.training)?;
            variant.campaigns.push(campaign);
        }
        Ok(())
    }

    /// The place of a training; of an equal one, if there is one.
    fn training(
        &mut self,
        variant: &str,
        point: usize,
        mut recipe: RecipeSpec,
        start: Option<&str>,
    ) -> Result<usize, String> {
        let start = start.map(|name| self.start(name, point)).transpose()?;
        let from = match (start, &recipe.network.file) {
            (Some(start), _) => self.plan.trainings[start].key.clone(),
            (None, Some(file)) => (self.world.model)(file)?,
            (None, None) => String::new(),
        };
        let data = &recipe.data;
        let hash = |split, limit| (self.world.data)(&Images { set: data.set.clone(), split, limit });
        let (train, test) = (hash(Split::Train, data.train_limit)?, hash(Split::Test, data.test_limit)?);
        // What is in a file matters, not where it lies.
        let mut hashed = recipe.clone();
        hashed.network.file = hashed.network.file.map(|_| PathBuf::new());
        let key = key(&hashed, &[&from, &train, &test]);
        if let Some(known) = self.plan.trainings.iter().position(|training| training.key == key) {
            return Ok(known);
        }
        if let Some(start) = start {
            recipe.network.file = Some(self.plan.trainings[start].folder.join(TrainedEpoch::Best.file()));
        }
        let folder = self.folder("trainings", variant, &key);
        self.plan.trainings.push(PlannedTraining { folder, variant: variant.to_owned(), start, recipe, key });
        Ok(self.plan.trainings.len() - 1)
    }

    /// The training of the variant of that name at a point.
    fn start(&self, name: &str, point: usize) -> Result<usize, String> {
        let is_it = |change: &NamedChange| change.name.as_deref() == Some(name);
        let place = self.changes.iter().position(is_it).map(|change| change * self.points.len() + point);
        let Some(variant) = place.and_then(|place| self.plan.variants.get(place)) else {
            return Err(format!(
                "train.network.variant: expected the name of a variant above this one, found \"{name}\""
            ));
        };
        variant.training.ok_or_else(|| format!("train.network.variant: \"{name}\" trains no network"))
    }

    /// The place of a campaign; of an equal one, if there is one.
    fn campaign(
        &mut self,
        variant: &str,
        (name, mut spec): (String, CampaignSpec),
        struck: &StruckSpec,
        training: Option<usize>,
    ) -> Result<usize, String> {
        let (file, from) = match (training, &struck.file) {
            (Some(training), _) => {
                let epoch = struck.epoch.unwrap_or_default();
                let PlannedTraining { folder, key, .. } = &self.plan.trainings[training];
                (folder.join(epoch.file()), format!("{key} {epoch:?}"))
            }
            (None, Some(file)) => (file.clone(), (self.world.model)(file)?),
            (None, None) => return Err(NOTHING_STRUCK.to_owned()),
        };
        let images = (self.world.data)(&Images {
            set: spec.data.set.clone(),
            split: spec.data.split,
            limit: spec.data.limit,
        })?;
        spec.model.file = PathBuf::new();
        let key = key(&spec, &[&from, &images]);
        spec.model.file = file;
        if let Some(known) =
            self.plan.campaigns.iter().position(|campaign| campaign.key == key && campaign.name == name)
        {
            return Ok(known);
        }
        let folder = self.folder("campaigns", &format!("{name} {variant}"), &key);
        self.plan.campaigns.push(PlannedCampaign {
            folder,
            name,
            variant: variant.to_owned(),
            training,
            spec,
            key,
        });
        Ok(self.plan.campaigns.len() - 1)
    }

    /// The folder of what has this hash: the one that is there, or a new one's name.
    fn folder(&self, below: &str, name: &str, key: &str) -> PathBuf {
        let digits = &key[..DIGITS];
        let is_it = |folder: &&PathBuf| {
            folder.starts_with(below)
                && folder.to_str().is_some_and(|folder| folder.ends_with(&format!("-{digits}")))
        };
        let known = self.world.folders.iter().find(is_it);
        known.cloned().unwrap_or_else(|| Path::new(below).join(format!("{}-{digits}", slug(name))))
    }
}

/// Longest name in a folder's.
const LONGEST_SLUG: usize = 48;

/// A name as part of a folder's: lower-case letters, digits and hyphens.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_lowercase();
    slug.truncate(LONGEST_SLUG);
    if slug.is_empty() { "variant".to_owned() } else { slug }
}

/// The hash of a specification and of what else its results depend on.
fn key(spec: &impl Serialize, others: &[&str]) -> String {
    let spec = serde_json::to_vec(spec).expect("plain data is always JSON");
    ContentHash::of(std::iter::once(spec.as_slice()).chain(others.iter().map(|other| other.as_bytes())))
}
