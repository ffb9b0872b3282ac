//! What an experiment amounts to, in numbers.

use std::path::PathBuf;

use serde::Serialize;
use temper_core::analysis::ComparedCondition;
use temper_core::statistics::t_interval;
use temper_train::experiment::{Stage, State, TrainedEpoch, Variant};
use temper_train::training::Verdict;

use super::{CONFIDENCE, Experiment, mean};
use crate::source::names;

/// What an experiment amounts to so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentSummary {
    /// What it is called.
    pub title: String,
    /// Whether nothing is missing.
    pub complete: bool,
    /// Confidence level of intervals.
    pub confidence: f64,
    /// The names of its campaigns.
    pub campaigns: Vec<String>,
    /// Its variants.
    pub variants: Vec<VariantSummary>,
}

/// What a variant amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantSummary {
    /// Its name.
    pub name: String,
    /// Why it makes no sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingOutcome>,
    /// Its campaigns.
    pub campaigns: Vec<CampaignOutcome>,
}

/// What became of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingOutcome {
    /// Its folder, in the experiment's directory.
    pub folder: PathBuf,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
    /// Whether it worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Test accuracy of the network that is struck, as its last phase stores it, with what strikes it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
}

/// What a campaign measured of a variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CampaignOutcome {
    /// Its name in the experiment.
    pub name: String,
    /// Its folder, in the experiment's directory.
    pub folder: PathBuf,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
    /// The measured condition with the lowest mean accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<WorstCondition>,
    /// What is gained over the variant that it is compared with, under that one's worst condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstCondition {
    /// Its swept values; empty for the only one.
    pub condition: String,
    /// Accuracy of the network as stored, without faults.
    pub golden_accuracy: f64,
    /// Mean accuracy over draws.
    pub accuracy: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
}

/// A difference of accuracies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// The variant that it is compared with.
    pub over: String,
    /// The condition.
    pub condition: String,
    /// How much more accurate.
    pub difference: f64,
    /// Its interval.
    pub interval: (f64, f64),
}

impl ExperimentSummary {
    pub(super) fn new(experiment: &Experiment) -> Self {
        Self {
            title: experiment.title(),
            complete: experiment.is_complete(),
            confidence: CONFIDENCE,
            campaigns: experiment.campaign_names().into_iter().map(str::to_owned).collect(),
            variants: experiment
                .variants()
                .iter()
                .map(|variant| variant_summary(experiment, variant))
                .collect(),
        }
    }
}

fn variant_summary(experiment: &Experiment, variant: &Variant) -> VariantSummary {
    let training = variant.training.map(|place| {
        let found = &experiment.trainings[place];
        let result = found.trained.as_ref().and_then(|trained| trained.result.as_ref());
        TrainingOutcome {
            folder: experiment.dir.relative(Stage::Training(place)).to_owned(),
            state: found.state.clone(),
            verdict: result.map(|result| result.verdict),
            test_accuracy: result.and_then(|result| result.phases.last()).map(|phase| match variant.epoch {
                TrainedEpoch::Best => phase.best_test_accuracy,
                TrainedEpoch::Last => phase.last_test_accuracy,
            }),
        }
    });
    let campaign = |&place: &usize| {
        let name = experiment.dir.plan.campaigns[place].name.clone();
        CampaignOutcome {
            folder: experiment.dir.relative(Stage::Campaign(place)).to_owned(),
            state: experiment.campaigns[place].state.clone(),
            worst: worst(experiment, place),
            gain: gain(experiment, variant, &name),
            name,
        }
    };
    VariantSummary {
        name: variant.name.clone(),
        problem: variant.problem.clone(),
        training,
        campaigns: variant.campaigns.iter().map(campaign).collect(),
    }
}

fn worst(experiment: &Experiment, place: usize) -> Option<WorstCondition> {
    let campaign = experiment.campaigns[place].measured.as_ref()?;
    let worst = campaign.measured().min_by(|a, b| mean(&a.summary).total_cmp(&mean(&b.summary)))?;
    Some(WorstCondition {
        condition: worst.label.clone(),
        golden_accuracy: worst.summary.golden_accuracy,
        accuracy: mean(&worst.summary),
        interval: worst.summary.accuracy.and_then(|accuracy| accuracy.interval),
    })
}

/// A compared condition in words.
pub(super) fn condition(compared: &ComparedCondition) -> String {
    let axes = names::axes_of(&compared.swept);
    names::swept(&compared.swept, &axes)
}

/// The condition under which the first is worst.
fn worst_of_first(conditions: &[ComparedCondition]) -> Option<&ComparedCondition> {
    conditions.iter().min_by(|a, b| a.mean_accuracy.0.total_cmp(&b.mean_accuracy.0))
}

fn gain(experiment: &Experiment, variant: &Variant, name: &str) -> Option<Gain> {
    let (baseline, conditions) = experiment.compared(variant, name)?;
    let worst = worst_of_first(conditions)?;
    Some(Gain {
        over: baseline.name.clone(),
        condition: condition(worst),
        difference: worst.accuracy.mean.difference,
        interval: worst.accuracy.mean.interval,
    })
}

/// What a campaign measured of a group of variants: of one, or on average of repetitions.
pub(super) struct GroupOutcome<'a> {
    pub(super) group: &'a str,
    pub(super) repetitions: usize,
    /// Accuracy without faults.
    pub(super) golden: f64,
    /// Accuracy under the worst condition.
    pub(super) accuracy: f64,
    /// That condition, if all repetitions have the same.
    pub(super) condition: String,
    /// What is gained over another group.
    pub(super) gain: Option<GroupGain<'a>>,
}

/// What a group gains over another.
pub(super) struct GroupGain<'a> {
    pub(super) over: &'a str,
    pub(super) condition: String,
    pub(super) difference: f64,
    /// Over draws; of repetitions Student's t interval over them.
    pub(super) interval: Option<(f64, f64)>,
}

/// A variant of a group, its worst condition, and what it gains.
type Member<'a> = (&'a Variant, &'a WorstCondition, Option<&'a Gain>);

/// What the campaigns of one name measured, by group.
pub(super) fn by_group<'a>(
    experiment: &'a Experiment,
    summary: &'a ExperimentSummary,
    name: &str,
) -> Vec<GroupOutcome<'a>> {
    let outcomes = |variant: &'a Variant| {
        let place = experiment.variants().iter().position(|other| other.name == variant.name)?;
        let campaign = summary.variants[place].campaigns.iter().find(|campaign| campaign.name == name)?;
        Some((variant, campaign.worst.as_ref()?, campaign.gain.as_ref()))
    };
    let group = |(group, members): (&'a str, Vec<Member<'a>>)| {
        let average = |of: fn(&WorstCondition) -> f64| {
            members.iter().map(|(_, worst, _)| of(worst)).sum::<f64>() / members.len() as f64
        };
        GroupOutcome {
            group,
            repetitions: members.len(),
            golden: average(|worst| worst.golden_accuracy),
            accuracy: average(|worst| worst.accuracy),
            condition: common(members.iter().map(|(_, worst, _)| worst.condition.as_str())),
            gain: group_gain(experiment, &members),
        }
    };
    experiment.groups(outcomes).into_iter().map(group).collect()
}

fn group_gain<'a>(experiment: &'a Experiment, members: &[Member<'a>]) -> Option<GroupGain<'a>> {
    let gains: Vec<(&Variant, &Gain)> =
        members.iter().filter_map(|(variant, _, gain)| Some((*variant, (*gain)?))).collect();
    let over = &experiment.variants()[gains.first()?.0.baseline?].group;
    let differences: Vec<f64> = gains.iter().map(|(_, gain)| gain.difference).collect();
    let interval = match gains.as_slice() {
        [(_, only)] => Some(only.interval),
        _ => t_interval(&differences, CONFIDENCE).and_then(|found| found.interval),
    };
    Some(GroupGain {
        over,
        condition: common(gains.iter().map(|(_, gain)| gain.condition.as_str())),
        difference: differences.iter().sum::<f64>() / differences.len() as f64,
        interval,
    })
}

/// What all texts say; nothing, if they differ.
fn common<'a>(mut texts: impl Iterator<Item = &'a str>) -> String {
    let first = texts.next().unwrap_or_default();
    if texts.all(|text| text == first) { first.to_owned() } else { String::new() }
}
