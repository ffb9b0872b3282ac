//! An experiment's directory.

mod curves;
mod epochs;
mod outcome;
mod summary;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use temper_core::analysis::{ComparedCondition, ConditionSummary, Side, compare};
use temper_core::campaign::CampaignDir;
use temper_train::experiment::{ExperimentDir, PlannedCampaign, Stage, State, Variant};

pub use outcome::{
    CampaignOutcome, ExperimentSummary, Gain, TrainingOutcome, VariantSummary, WorstCondition,
};

use super::campaign::Campaign;
use super::campaign::curves::MOST_LINES;
use super::training::Trained;
use super::{CONFIDENCE, methods, text_of};
use crate::error::ReportError;
use crate::number::{Format, counted};
use crate::report::{Report, Section};

/// An experiment, and what its directory holds so far.
struct Experiment {
    dir: ExperimentDir,
    text: String,
    trainings: Vec<FoundTraining>,
    campaigns: Vec<FoundCampaign>,
    /// Variants beside those that they are compared with, condition by condition, by the names of variant and campaign.
    comparisons: BTreeMap<(String, String), Vec<ComparedCondition>>,
}

/// A training, as far as it is.
struct FoundTraining {
    state: State,
    trained: Option<Trained>,
}

/// A campaign, as far as it is.
struct FoundCampaign {
    state: State,
    measured: Option<Campaign>,
}

impl Experiment {
    fn read(path: &Path) -> Result<Self, ReportError> {
        let dir = ExperimentDir::read(path)?;
        let file = path.join("experiment.toml");
        let text = if file.exists() { text_of(&file)? } else { String::new() };
        let training = |place| {
            let stage = Stage::Training(place);
            let state = dir.state(stage);
            // What cannot be read is told of, and stands in no other's way.
            let is_there = matches!(state, State::Begun { .. } | State::Done)
                && dir.folder(stage).join("recipe.toml").exists();
            let trained = if is_there { Some(Trained::read(&dir.folder(stage))?) } else { None };
            Ok(FoundTraining { state, trained })
        };
        let campaign = |place| {
            let stage = Stage::Campaign(place);
            let state = dir.state(stage);
            let is_there = matches!(state, State::Begun { .. } | State::Done);
            let measured = if is_there { Some(Campaign::read(&dir.folder(stage))?) } else { None };
            Ok(FoundCampaign { state, measured })
        };
        let trainings = (0..dir.plan.trainings.len()).map(training).collect::<Result<_, ReportError>>()?;
        let campaigns = (0..dir.plan.campaigns.len()).map(campaign).collect::<Result<_, ReportError>>()?;
        let mut found = Self { dir, text, trainings, campaigns, comparisons: BTreeMap::new() };
        found.comparisons = found
            .variants()
            .iter()
            .flat_map(|variant| found.campaign_names().into_iter().map(move |name| (variant, name)))
            .filter_map(|(variant, name)| {
                Some(((variant.name.clone(), name.to_owned()), found.compare(variant, name)?))
            })
            .collect();
        Ok(found)
    }

    fn variants(&self) -> &[Variant] {
        &self.dir.plan.variants
    }

    /// The campaigns' names, in the order in which the experiment first has them.
    fn campaign_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for campaign in &self.dir.plan.campaigns {
            if !names.contains(&campaign.name.as_str()) {
                names.push(&campaign.name);
            }
        }
        names
    }

    /// The place of a variant's campaign of that name.
    fn campaign_of(&self, variant: &Variant, name: &str) -> Option<usize> {
        let planned = |place: usize| -> &PlannedCampaign { &self.dir.plan.campaigns[place] };
        variant.campaigns.iter().copied().find(|&place| planned(place).name == name)
    }

    /// The images of the campaigns of that name, the most that any has.
    fn images(&self, name: &str) -> u64 {
        let campaigns =
            self.dir.plan.campaigns.iter().zip(&self.campaigns).filter(|(planned, _)| planned.name == name);
        campaigns.filter_map(|(_, found)| Some(found.measured.as_ref()?.images())).max().unwrap_or(0)
    }

    /// What was measured of a variant by the campaign of that name.
    fn measured(&self, variant: &Variant, name: &str) -> Option<&Campaign> {
        let campaign = self.campaigns[self.campaign_of(variant, name)?].measured.as_ref()?;
        campaign.measured().next().is_some().then_some(campaign)
    }

    /// A variant beside the one that it is compared with, condition by condition; `None`, if there is nothing to compare, or too little.
    fn compared(&self, variant: &Variant, name: &str) -> Option<(&Variant, &[ComparedCondition])> {
        let conditions = self.comparisons.get(&(variant.name.clone(), name.to_owned()))?;
        Some((&self.variants()[variant.baseline?], conditions))
    }

    fn compare(&self, variant: &Variant, name: &str) -> Option<Vec<ComparedCondition>> {
        let baseline = &self.variants()[variant.baseline?];
        let (first, second) = (self.campaign_of(baseline, name)?, self.campaign_of(variant, name)?);
        let open = |place: usize| {
            self.campaigns[place].measured.as_ref()?;
            let dir = CampaignDir::open(&self.dir.folder(Stage::Campaign(place))).ok()?;
            let records = dir.records().ok()?.by_trial;
            Some((dir, records))
        };
        let (first, second) = (open(first)?, open(second)?);
        let comparison = compare(
            Side { info: first.0.info(), records: &first.1 },
            Side { info: second.0.info(), records: &second.1 },
            CONFIDENCE,
        );
        Some(comparison.ok()?.conditions)
    }

    /// The groups of variants that are repetitions of one another, in order, with what `of` finds of each member.
    fn groups<'a, T>(&'a self, of: impl Fn(&'a Variant) -> Option<T>) -> Vec<(&'a str, Vec<T>)> {
        let mut groups: Vec<(&'a str, Vec<T>)> = Vec::new();
        for variant in self.variants() {
            let Some(found) = of(variant) else { continue };
            match groups.iter_mut().find(|(group, _)| *group == variant.group) {
                Some((_, members)) => members.push(found),
                None => groups.push((&variant.group, vec![found])),
            }
        }
        groups
    }

    /// The groups that figures draw, the same in all: where there are too many, the first and those that keep most and least on average.
    fn drawn(&self) -> Vec<&str> {
        let average = |variant: &Variant| {
            let measured =
                variant.campaigns.iter().filter_map(|&place| self.campaigns[place].measured.as_ref());
            let means: Vec<f64> =
                measured.flat_map(Campaign::measured).map(|found| mean(&found.summary)).collect();
            Some(means.iter().sum::<f64>() / means.len().max(1) as f64)
        };
        let groups = self.groups(average);
        let mut order: Vec<(f64, &str)> = groups
            .iter()
            .skip(1)
            .map(|(group, averages)| (averages.iter().sum::<f64>() / averages.len() as f64, *group))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let left_out = groups.len().saturating_sub(MOST_LINES);
        let from = (MOST_LINES - 1) / 2;
        let hidden: Vec<&str> = order.iter().skip(from).take(left_out).map(|(_, group)| *group).collect();
        groups.iter().map(|(group, _)| *group).filter(|group| !hidden.contains(group)).collect()
    }

    /// Whether any variants are repetitions of one another.
    fn has_repetitions(&self) -> bool {
        self.variants().iter().any(|variant| variant.group != variant.name)
    }

    /// Whether nothing is missing.
    fn is_complete(&self) -> bool {
        let is_done = |state: &State| *state == State::Done;
        self.variants().iter().all(|variant| variant.problem.is_none())
            && self.trainings.iter().all(|training| is_done(&training.state))
            && self.campaigns.iter().all(|campaign| is_done(&campaign.state))
    }

    fn title(&self) -> String {
        if self.dir.plan.title.is_empty() { "An experiment".to_owned() } else { self.dir.plan.title.clone() }
    }
}

/// The mean accuracy of a condition's draws.
fn mean(summary: &ConditionSummary) -> f64 {
    summary.accuracy.map_or(f64::NAN, |accuracy| accuracy.mean)
}

/// A state in words.
fn describe(state: &State, unit: &str) -> String {
    state.describe(unit, |number| Format::Count.text(number as f64))
}

/// What is said below a figure that leaves variants out.
fn left_out(drawn: usize, all: usize) -> String {
    if drawn == all {
        return String::new();
    }
    format!(
        " Of {all} variants {drawn} are drawn: the first, and those that keep most and least on average; the data have all."
    )
}

/// What an experiment's directory amounts to so far: in numbers, and as a report.
///
/// # Errors
/// When it is no experiment's, or a file in it is damaged or has another version of its format. A training or a campaign that cannot be read is
/// said to be so.
pub fn read_experiment(path: &Path) -> Result<(ExperimentSummary, Report), ReportError> {
    let experiment = Experiment::read(path)?;
    let summary = ExperimentSummary::new(&experiment);
    let report = report(&experiment, &summary);
    Ok((summary, report))
}

fn report(experiment: &Experiment, summary: &ExperimentSummary) -> Report {
    let mut sections = vec![Section {
        id: "summary".to_owned(),
        title: "Summary".to_owned(),
        blocks: summary::blocks(experiment, summary),
    }];
    for name in experiment.campaign_names() {
        let blocks = curves::blocks(experiment, summary, name);
        if !blocks.is_empty() {
            sections.push(Section {
                id: format!("campaign-{name}"),
                title: format!("Campaign {name}"),
                blocks,
            });
        }
    }
    let blocks = epochs::blocks(experiment);
    if !blocks.is_empty() {
        sections.push(Section { id: "training".to_owned(), title: "Training".to_owned(), blocks });
    }
    sections.push(Section {
        id: "parts".to_owned(),
        title: "Parts".to_owned(),
        blocks: tables::parts(experiment),
    });
    sections.push(methods(
        method(experiment),
        "The experiment",
        experiment.text.clone(),
        "temper run EXPERIMENT.toml -o DIR",
    ));
    let plan = &experiment.dir.plan;
    Report {
        title: experiment.title(),
        subtitle: format!(
            "{}: {} and {}.",
            counted(plan.variants.len() as u64, "variant", "variants"),
            counted(plan.trainings.len() as u64, "training", "trainings"),
            counted(plan.campaigns.len() as u64, "campaign", "campaigns")
        ),
        facts: vec![
            ("format of the directory".to_owned(), plan.format_version.to_string()),
            ("report by".to_owned(), concat!("temper ", env!("CARGO_PKG_VERSION")).to_owned()),
        ],
        sections,
    }
}

fn method(experiment: &Experiment) -> Vec<String> {
    let mut paragraphs = vec![
        "A variant is the experiment's base with a named change and one value of each field of the grid. Equal trainings and campaigns of several \
         variants are made once; each is named by a hash of all that its result depends on, data included, and is a pure function of these: the same \
         experiment gives the same networks and records, bit for bit, on any number of threads."
            .to_owned(),
        "Campaigns of one name have the same seed in all variants. Where networks are stored alike, the same draw then strikes the same places in all \
         of them and meets the same images, and variants are compared draw by draw: differences have Student's t interval of pairs (Biometrika 6, 1908). \
         Otherwise draws are two independent samples, with Welch's (Biometrika 34, 1947)."
            .to_owned(),
        "Each draw's accuracy is the share of the images that a faulty network answers rightly, or where draws run part of them an estimate of it; its mean over draws has Student's t interval. The worst \
         condition is the one with the lowest mean."
            .to_owned(),
        "A network whose training failed, did not learn or diverged is not struck: accuracies of a network that answers by chance say nothing about \
         faults."
            .to_owned(),
    ];
    if experiment.has_repetitions() {
        paragraphs.push(
            "Variants that differ in the training's seed alone are repetitions: curves show their mean, with bands from the lowest to the highest of them, and what \
             is gained on average over them has Student's t interval over repetitions."
                .to_owned(),
        );
    }
    paragraphs
}
