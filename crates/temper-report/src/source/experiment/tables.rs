//! The tables of an experiment.

use temper_core::analysis::Pairing;
use temper_train::experiment::Stage;

use super::outcome::{ExperimentSummary, by_group, condition};
use super::{CONFIDENCE, Experiment, describe};
use crate::number::{Format, counted, level};
use crate::report::Block;
use crate::table::{Cell, Table};

/// Every variant of a campaign in a row, with its worst condition.
pub(super) fn worst(experiment: &Experiment, summary: &ExperimentSummary, name: &str) -> Block {
    let share = Some(Format::Share);
    let interval = format!("{} interval", level(CONFIDENCE));
    let of_gain = format!("{interval} of gain");
    let mut table = Table::new(&[
        ("variant", None),
        ("state", None),
        ("worst condition", None),
        ("golden", share),
        ("accuracy", share),
        (interval.as_str(), share),
        ("gain", Some(Format::Change)),
        (of_gain.as_str(), Some(Format::Change)),
    ]);
    for variant in &summary.variants {
        let Some(campaign) = variant.campaigns.iter().find(|campaign| campaign.name == name) else {
            continue;
        };
        let (worst, gain) = (campaign.worst.as_ref(), campaign.gain.as_ref());
        table.rows.push(vec![
            Cell::text(&variant.name),
            Cell::text(describe(&campaign.state, "trials")),
            worst.map_or(Cell::Empty, |worst| Cell::text(&worst.condition)),
            Cell::number(worst.map(|worst| worst.golden_accuracy)),
            Cell::number(worst.map(|worst| worst.accuracy)),
            Cell::interval(worst.and_then(|worst| worst.interval)),
            Cell::number(gain.map(|gain| gain.difference)),
            Cell::interval(gain.map(|gain| gain.interval)),
        ]);
    }
    let with = if experiment.has_repetitions() { " of the same seeds" } else { "" };
    let caption = format!(
        "Accuracy: mean over draws under the variant's worst condition. Golden: without faults. Gain: accuracy above that of the variant{with} it is compared with, \
         under that one's worst condition."
    );
    Block::Table { id: format!("{name}-variants"), caption, table }
}

/// What is gained on average over repetitions.
pub(super) fn repetitions(experiment: &Experiment, summary: &ExperimentSummary, name: &str) -> Option<Block> {
    let groups = by_group(experiment, summary, name);
    let mut table = Table::new(&[
        ("variants", None),
        ("compared with", None),
        ("repetitions", Some(Format::Count)),
        ("gain", Some(Format::Change)),
        ("95 % interval", Some(Format::Change)),
    ]);
    for group in groups.iter().filter(|group| group.repetitions > 1) {
        let Some(gain) = &group.gain else { continue };
        table.rows.push(vec![
            Cell::text(group.group),
            Cell::text(gain.over),
            Cell::Number(group.repetitions as f64),
            Cell::Number(gain.difference),
            Cell::interval(gain.interval),
        ]);
    }
    let caption = "What is gained on average over repetitions with other seeds, under the worst condition of what it is compared with, with Student's t interval over \
                   repetitions.";
    let id = format!("{name}-repetitions");
    (!table.rows.is_empty()).then(|| Block::Table { id, caption: caption.to_owned(), table })
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
                Cell::text(condition(found)),
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
