//! What a manager wants to know of an experiment, and how far it is.

use std::path::PathBuf;

use serde::Serialize;
use temper_core::analysis::{ComparedCondition, Pairing};
use temper_core::statistics::paired;
use temper_train::experiment::{Stage, State, TrainedEpoch, Variant};
use temper_train::training::Verdict;

use super::{CONFIDENCE, Experiment, mean};
use crate::number::{Format, counted, level, percent};
use crate::report::{Block, KeyFigure};
use crate::source::names;
use crate::table::{Cell, Table};

/// What an experiment amounts to so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentSummary {
    /// What it is called.
    pub title: String,
    /// Whether nothing is missing.
    pub complete: bool,
    /// Confidence level of intervals.
    pub confidence: f64,
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
fn condition(compared: &ComparedCondition) -> String {
    let axes = names::axes_of(&compared.swept);
    names::swept(&compared.swept, &axes)
}

/// The condition under which the first is worst.
fn worst_of_first(conditions: &[ComparedCondition]) -> Option<&ComparedCondition> {
    conditions.iter().min_by(|a, b| a.mean_accuracy.0.total_cmp(&b.mean_accuracy.0))
}

fn gain(experiment: &Experiment, variant: &Variant, name: &str) -> Option<Gain> {
    let (baseline, conditions) = experiment.compared(variant, name)?;
    let worst = worst_of_first(&conditions)?;
    Some(Gain {
        over: baseline.name.clone(),
        condition: condition(worst),
        difference: worst.accuracy.mean.difference,
        interval: worst.accuracy.mean.interval,
    })
}

/// The first section.
pub(super) fn blocks(experiment: &Experiment, summary: &ExperimentSummary) -> Vec<Block> {
    let mut blocks = warnings(experiment, summary);
    let figures = key_figures(summary);
    if !figures.is_empty() {
        blocks.push(Block::KeyFigures(figures));
    }
    blocks.push(table(experiment, summary));
    blocks.extend(repetitions(experiment));
    blocks
}

/// What is missing.
fn warnings(experiment: &Experiment, summary: &ExperimentSummary) -> Vec<Block> {
    let mut warnings = Vec::new();
    let states = || {
        let trainings = experiment.trainings.iter().map(|training| &training.state);
        trainings.chain(experiment.campaigns.iter().map(|campaign| &campaign.state))
    };
    let open = states().filter(|state| matches!(state, State::Waiting | State::Begun { .. })).count();
    if open > 0 {
        warnings.push(Block::warning(format!(
            "This experiment is not finished: {} of {} trainings and campaigns are still to be run or to be gone on with. What follows rests on what is \
             recorded; the same temper run goes on with it.",
            open,
            states().count()
        )));
    }
    for variant in &summary.variants {
        if let Some(problem) = &variant.problem {
            warnings.push(Block::warning(format!("{} cannot be run – {problem}", variant.name)));
        }
    }
    let plan = &experiment.dir.plan;
    for (training, found) in plan.trainings.iter().zip(&experiment.trainings) {
        let verdict =
            found.trained.as_ref().and_then(|trained| trained.result.as_ref()).map(|result| result.verdict);
        match (&found.state, verdict) {
            (State::Failed { reason }, _) => {
                warnings
                    .push(Block::warning(format!("The training of {} failed – {reason}", training.variant)));
            }
            (State::Unreadable { reason }, _) => {
                warnings.push(Block::warning(format!(
                    "The training of {} cannot be read – {reason}",
                    training.variant
                )));
            }
            (_, Some(verdict)) if verdict != Verdict::Learned => warnings.push(Block::warning(format!(
                "The training of {} – {}. Its network is not struck.",
                training.variant,
                verdict.describe()
            ))),
            _ => {}
        }
    }
    for (campaign, found) in plan.campaigns.iter().zip(&experiment.campaigns) {
        let (State::Failed { reason } | State::Unreadable { reason }) = &found.state else { continue };
        let what = if matches!(found.state, State::Failed { .. }) { "failed" } else { "cannot be read" };
        warnings.push(Block::warning(format!(
            "The campaign {} of {} {what} – {reason}",
            campaign.name, campaign.variant
        )));
    }
    warnings
}

/// A variant's accuracy without faults; before it is struck, its training's.
fn golden(variant: &VariantSummary) -> Option<f64> {
    let struck = variant.campaigns.iter().find_map(|campaign| Some(campaign.worst.as_ref()?.golden_accuracy));
    struck.or_else(|| variant.training.as_ref()?.test_accuracy)
}

fn key_figures(summary: &ExperimentSummary) -> Vec<KeyFigure> {
    let mut figures = Vec::new();
    let best = summary
        .variants
        .iter()
        .filter_map(|variant| Some((variant, golden(variant)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(std::cmp::Ordering::Greater));
    if let Some((variant, accuracy)) = best {
        figures.push(KeyFigure::new(
            "Best accuracy without faults",
            percent(accuracy, 2),
            variant.name.clone(),
        ));
    }
    let mut names: Vec<&str> = Vec::new();
    for campaign in summary.variants.iter().flat_map(|variant| &variant.campaigns) {
        if !names.contains(&campaign.name.as_str()) {
            names.push(&campaign.name);
        }
    }
    for name in names {
        let of_name = || {
            summary.variants.iter().flat_map(move |variant| {
                variant
                    .campaigns
                    .iter()
                    .filter(move |campaign| campaign.name == name)
                    .map(move |campaign| (variant, campaign))
            })
        };
        let worst = |(_, campaign): &(&VariantSummary, &CampaignOutcome)| {
            campaign.worst.as_ref().map(|worst| worst.accuracy)
        };
        let ranked = || of_name().filter_map(|found| Some((found, worst(&found)?)));
        let Some((_, lowest)) = ranked().min_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        let Some(((variant, campaign), highest)) =
            ranked().max_by(|a, b| a.1.total_cmp(&b.1).then(std::cmp::Ordering::Greater))
        else {
            continue;
        };
        let condition = campaign.worst.as_ref().map_or(String::new(), |worst| worst.condition.clone());
        let at = if condition.is_empty() { String::new() } else { format!(" at {condition}") };
        let note = if ranked().count() > 1 {
            format!("{}{at}; the worst variant keeps {}", variant.name, percent(lowest, 2))
        } else {
            format!("{}{at}", variant.name)
        };
        figures.push(KeyFigure::new(
            format!("{name}: most accurate at its worst"),
            percent(highest, 2),
            note,
        ));
        let gain = of_name()
            .filter_map(|(variant, campaign)| Some((variant, campaign.gain.as_ref()?)))
            .max_by(|a, b| a.1.difference.total_cmp(&b.1.difference));
        if let Some((variant, gain)) = gain.filter(|(_, gain)| gain.interval.0 > 0.0) {
            let points = |share: f64| format!("{:.2}", 100.0 * share).replace('-', "−");
            figures.push(KeyFigure::new(
                format!("{name}: gained by hardening"),
                points(gain.difference),
                format!(
                    "percentage points, {} over {}{}; {} interval {} to {}",
                    variant.name,
                    gain.over,
                    if gain.condition.is_empty() { String::new() } else { format!(" at {}", gain.condition) },
                    level(CONFIDENCE),
                    points(gain.interval.0),
                    points(gain.interval.1)
                ),
            ));
        }
    }
    figures
}

/// A state in words.
fn describe(state: &State, unit: &str) -> String {
    match state {
        State::Waiting => "to do".to_owned(),
        State::Begun { done, all } => {
            format!("{} of {} {unit}", Format::Count.text(*done as f64), Format::Count.text(*all as f64))
        }
        State::Done => "done".to_owned(),
        State::Failed { .. } => "failed".to_owned(),
        State::Skipped { reason } => format!("left out: {reason}"),
        State::Unreadable { .. } => "cannot be read".to_owned(),
    }
}

/// Every variant in a row.
fn table(experiment: &Experiment, summary: &ExperimentSummary) -> Block {
    let share = Some(Format::Share);
    let names = experiment.campaign_names();
    let has_training = !experiment.trainings.is_empty();
    let titles: Vec<[String; 5]> = names
        .iter()
        .map(|name| {
            ["golden", "worst condition", "accuracy", "95 % interval", "gain"]
                .map(|title| format!("{name}: {title}"))
        })
        .collect();
    let mut columns = vec![("variant", None)];
    if has_training {
        columns.extend([("training", None), ("test accuracy", share)]);
    }
    for [golden, condition, accuracy, interval, gain] in &titles {
        columns.extend([
            (golden.as_str(), share),
            (condition.as_str(), None),
            (accuracy.as_str(), share),
            (interval.as_str(), share),
            (gain.as_str(), Some(Format::Change)),
        ]);
    }
    let mut table = Table::new(&columns);
    for (variant, found) in experiment.variants().iter().zip(&summary.variants) {
        let mut row = vec![Cell::text(&found.name)];
        if has_training {
            let training = found.training.as_ref();
            row.push(Cell::text(match training {
                Some(TrainingOutcome { verdict: Some(verdict), .. }) => {
                    verdict.describe().split(':').next().unwrap_or_default().to_owned()
                }
                Some(training) => describe(&training.state, "epochs"),
                None => "cannot be run".to_owned(),
            }));
            row.push(Cell::number(training.and_then(|training| training.test_accuracy)));
        }
        for name in &names {
            let campaign = experiment.campaign_of(variant, name);
            let outcome = found.campaigns.iter().find(|campaign| campaign.name == **name);
            let worst = outcome.and_then(|outcome| outcome.worst.as_ref());
            let condition = match (worst, campaign) {
                (Some(worst), Some(place)) if experiment.campaigns[place].state == State::Done => {
                    worst.condition.clone()
                }
                (Some(worst), Some(place)) => {
                    let state = describe(&experiment.campaigns[place].state, "trials");
                    if worst.condition.is_empty() { state } else { format!("{} ({state})", worst.condition) }
                }
                (_, Some(place)) => describe(&experiment.campaigns[place].state, "trials"),
                (_, None) => String::new(),
            };
            row.extend([
                Cell::number(worst.map(|worst| worst.golden_accuracy)),
                Cell::text(condition),
                Cell::number(worst.map(|worst| worst.accuracy)),
                Cell::interval(worst.and_then(|worst| worst.interval)),
                Cell::number(outcome.and_then(|outcome| Some(outcome.gain.as_ref()?.difference))),
            ]);
        }
        table.rows.push(row);
    }
    let caption = "Test accuracy: of the network that is struck, with what strikes it in training. Golden: without faults. Accuracy, with its interval: the mean over draws under the variant's worst condition. Gain: accuracy above that \
                   of the variant it is compared with, under that one's worst condition.";
    Block::Table { id: "variants".to_owned(), caption: caption.to_owned(), table }
}

/// What is gained on average over repetitions.
fn repetitions(experiment: &Experiment) -> Option<Block> {
    if !experiment.has_repetitions() {
        return None;
    }
    let mut table = Table::new(&[
        ("campaign", None),
        ("variants", None),
        ("compared with", None),
        ("repetitions", Some(Format::Count)),
        ("gain", Some(Format::Change)),
        ("95 % interval", Some(Format::Share)),
    ]);
    for name in experiment.campaign_names() {
        let pairs = experiment.groups(|variant| {
            let (baseline, conditions) = experiment.compared(variant, name)?;
            let worst = worst_of_first(&conditions)?;
            Some((baseline.group.clone(), worst.mean_accuracy))
        });
        for (group, pairs) in pairs {
            let first: Vec<f64> = pairs.iter().map(|(_, accuracy)| accuracy.0).collect();
            let second: Vec<f64> = pairs.iter().map(|(_, accuracy)| accuracy.1).collect();
            let difference = paired(&second, &first, CONFIDENCE).ok();
            let alone = first.iter().zip(&second).map(|(first, second)| second - first).sum::<f64>()
                / first.len() as f64;
            table.rows.push(vec![
                Cell::text(name),
                Cell::text(group),
                Cell::text(&pairs[0].0),
                Cell::Number(pairs.len() as f64),
                Cell::Number(alone),
                Cell::interval(difference.map(|found| found.mean.interval)),
            ]);
        }
    }
    let caption = "What is gained on average over repetitions with other seeds, under the worst condition of what it is compared with.";
    (!table.rows.is_empty()).then(|| Block::Table {
        id: "repetitions".to_owned(),
        caption: caption.to_owned(),
        table,
    })
}

/// A campaign's variants beside those that they are compared with, in every condition.
pub(super) fn comparisons(experiment: &Experiment, name: &str) -> Option<Block> {
    let mut table = Table::new(&[
        ("variant", None),
        ("compared with", None),
        ("condition", None),
        ("draws", Some(Format::Count)),
        ("accuracy", Some(Format::Share)),
        ("of the other", Some(Format::Share)),
        ("difference", Some(Format::Change)),
        ("95 % interval", Some(Format::Change)),
        ("p (Holm)", Some(Format::Plain)),
        ("pairs", None),
    ]);
    for variant in experiment.variants() {
        let Some((baseline, conditions)) = experiment.compared(variant, name) else { continue };
        for found in conditions {
            table.rows.push(vec![
                Cell::text(&variant.name),
                Cell::text(&baseline.name),
                Cell::text(condition(&found)),
                Cell::Number(found.draws.1 as f64),
                Cell::Number(found.mean_accuracy.1),
                Cell::Number(found.mean_accuracy.0),
                Cell::Number(found.accuracy.mean.difference),
                Cell::interval(Some(found.accuracy.mean.interval)),
                Cell::number(found.accuracy.adjusted_p_value),
                Cell::text(if found.pairing == Pairing::Paired { "yes" } else { "no" }),
            ]);
        }
    }
    let caption = "Every variant beside the one that it is compared with. Pairs: the same draw strikes the same places in both. An interval holds by itself; p-values \
                   are Holm's over the conditions of a variant.";
    let id = format!("{name}-comparison");
    (!table.rows.is_empty()).then(|| Block::Table { id, caption: caption.to_owned(), table })
}

/// Where everything lies.
pub(super) fn parts(experiment: &Experiment) -> Vec<Block> {
    let mut table = Table::new(&[("part", None), ("state", None), ("folder", None)]);
    for stage in experiment.dir.stages() {
        let plan = &experiment.dir.plan;
        let (part, state) = match stage {
            Stage::Training(place) => (
                format!("training of {}", plan.trainings[place].variant),
                describe(&experiment.trainings[place].state, "epochs"),
            ),
            Stage::Campaign(place) => (
                format!("campaign {} of {}", plan.campaigns[place].name, plan.campaigns[place].variant),
                describe(&experiment.campaigns[place].state, "trials"),
            ),
        };
        let folder = experiment.dir.relative(stage).display().to_string();
        table.rows.push(vec![Cell::text(part), Cell::text(state), Cell::text(folder)]);
    }
    vec![
        Block::text(format!(
            "{} below the experiment's directory; temper report DIR/FOLDER makes a page of one, with its layers, bits, single draws and outcomes.",
            counted(table.rows.len() as u64, "folder lies", "folders lie")
        )),
        Block::Table { id: "parts".to_owned(), caption: "Trainings and campaigns.".to_owned(), table },
    ]
}
