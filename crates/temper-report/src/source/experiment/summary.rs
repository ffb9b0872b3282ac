//! What a manager wants to know of an experiment.

use temper_train::experiment::State;
use temper_train::training::Verdict;

use super::outcome::{ExperimentSummary, GroupOutcome, TrainingOutcome, by_group};
use super::{CONFIDENCE, Experiment, describe};
use crate::number::{Format, counted, level, percent};
use crate::report::{Block, KeyFigure};
use crate::source::campaign::Campaign;
use crate::table::{Cell, Table};

/// The first section.
pub(super) fn blocks(experiment: &Experiment, summary: &ExperimentSummary) -> Vec<Block> {
    let mut blocks = warnings(experiment, summary);
    let figures = key_figures(experiment, summary);
    if !figures.is_empty() {
        blocks.push(Block::KeyFigures(figures));
    }
    blocks.push(table(experiment, summary));
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
        let imprecise = found.measured.as_ref().map_or(0, Campaign::imprecise);
        if imprecise > 0 {
            warnings.push(Block::warning(format!(
                "The campaign {} of {}: {} not known to the precision that it asks, after the most draws that it allows.",
                campaign.name,
                campaign.variant,
                counted(imprecise as u64, "condition is", "conditions are")
            )));
        }
        let (State::Failed { reason } | State::Unreadable { reason }) = &found.state else { continue };
        let what = if matches!(found.state, State::Failed { .. }) { "failed" } else { "cannot be read" };
        warnings.push(Block::warning(format!(
            "The campaign {} of {} {what} – {reason}",
            campaign.name, campaign.variant
        )));
    }
    warnings
}

fn key_figures(experiment: &Experiment, summary: &ExperimentSummary) -> Vec<KeyFigure> {
    let mut figures = Vec::new();
    let names = experiment.campaign_names();
    let all: Vec<_> = names.iter().map(|name| by_group(experiment, summary, name)).collect();
    // Accuracies on different images are not compared.
    let largest = (0..names.len())
        .reduce(|a, b| if experiment.images(names[b]) > experiment.images(names[a]) { b } else { a });
    let best = largest.and_then(|place| {
        let better = |best, other: &'_ GroupOutcome<'_>| -> bool { other.golden > best };
        all[place].iter().reduce(|best, other| if better(best.golden, other) { other } else { best })
    });
    if let (Some(best), Some(place)) = (best, largest) {
        let on = counted(experiment.images(names[place]), "image", "images");
        figures.push(KeyFigure::new(
            "Best accuracy without faults",
            percent(best.golden, 2),
            format!("{}; on {on}", best.described("")),
        ));
    }
    for (name, groups) in names.into_iter().zip(&all) {
        let better = |best: &'_ _, other: &'_ _| -> bool { accuracy(other) > accuracy(best) };
        let Some(best) = groups.iter().reduce(|best, other| if better(best, other) { other } else { best })
        else {
            continue;
        };
        let lowest = groups.iter().map(accuracy).fold(f64::INFINITY, f64::min);
        let lowest = if groups.len() > 1 {
            format!("; the worst variant keeps {}", percent(lowest, 2))
        } else {
            String::new()
        };
        figures.push(KeyFigure::new(
            format!("{name}: kept under the worst condition"),
            percent(best.accuracy, 2),
            best.described(&best.condition) + &lowest,
        ));
        figures.extend(gained(name, groups));
    }
    figures
}

fn accuracy(outcome: &GroupOutcome<'_>) -> f64 {
    outcome.accuracy
}

impl GroupOutcome<'_> {
    /// Its name, under which condition, and of how many repetitions it is the mean.
    fn described(&self, condition: &str) -> String {
        let at = if condition.is_empty() { String::new() } else { format!(" at {condition}") };
        let mean = if self.repetitions > 1 {
            format!(", mean of {} repetitions", self.repetitions)
        } else {
            String::new()
        };
        format!("{}{at}{mean}", self.group)
    }
}

/// The largest gain or loss that is more than chance.
fn gained(name: &str, groups: &[GroupOutcome<'_>]) -> Option<KeyFigure> {
    let gains = groups.iter().filter_map(|group| Some((group, group.gain.as_ref()?)));
    let is_certain = |(low, high): &(f64, f64)| *low > 0.0 || *high < 0.0;
    let certain = gains.filter_map(|(group, gain)| Some((group, gain, gain.interval.filter(is_certain)?)));
    let (group, gain, (low, high)) =
        certain.max_by(|a, b| a.1.difference.abs().total_cmp(&b.1.difference.abs()))?;
    let points = |share: f64| format!("{:+.2}", 100.0 * share).replace('-', "−");
    let at = if gain.condition.is_empty() { String::new() } else { format!(" at {}", gain.condition) };
    let over = if group.repetitions > 1 { " over repetitions" } else { "" };
    Some(KeyFigure::new(
        format!("{name}: largest certain difference"),
        points(gain.difference),
        format!(
            "percentage points, {} over {}{at}; {} interval{over} {} to {}",
            group.group,
            gain.over,
            level(CONFIDENCE),
            points(low),
            points(high)
        ),
    ))
}

/// Every variant in a row.
fn table(experiment: &Experiment, summary: &ExperimentSummary) -> Block {
    let share = Some(Format::Share);
    let names = experiment.campaign_names();
    let has_training = !experiment.trainings.is_empty();
    let mut columns = vec![("variant", None)];
    if has_training {
        columns.extend([("training", None), ("test accuracy", share)]);
    }
    columns.extend(names.iter().map(|name| (*name, share)));
    let mut table = Table::new(&columns);
    for variant in &summary.variants {
        let mut row = vec![Cell::text(&variant.name)];
        if has_training {
            let training = variant.training.as_ref();
            row.push(Cell::text(training.map_or("cannot be run".to_owned(), trained)));
            row.push(Cell::number(training.and_then(|training| training.test_accuracy)));
        }
        let accuracy = |name: &&str| {
            let campaign = variant.campaigns.iter().find(|campaign| campaign.name == **name)?;
            Some(campaign.worst.as_ref()?.accuracy)
        };
        row.extend(names.iter().map(|name| Cell::number(accuracy(name))));
        table.rows.push(row);
    }
    let caption = "Test accuracy: of the network that is struck, with what strikes it in training. Campaigns: mean accuracy under the variant's worst condition.";
    Block::Table { id: "variants".to_owned(), caption: caption.to_owned(), table }
}

/// What became of a training, in a few words.
fn trained(training: &TrainingOutcome) -> String {
    match training.verdict {
        Some(verdict) => verdict.short().to_owned(),
        None => describe(&training.state, "epochs"),
    }
}
