//! What a manager wants to know, and the table of all conditions.

use temper_core::analysis::{ConditionSummary, DrawEstimate, OutcomeShares};

use super::{Campaign, Found, TOLERANCE, names};
use crate::number::{Format, counted, level, percent};
use crate::report::{Block, KeyFigure};
use crate::table::{Cell, Table};

/// The first section.
pub(super) fn blocks(campaign: &Campaign) -> Vec<Block> {
    let mut blocks = warnings(campaign);
    let Some(worst) = worst(campaign) else { return blocks };
    blocks.push(Block::KeyFigures(key_figures(campaign, worst)));
    blocks.push(Block::text(sentence(campaign, worst)));
    blocks
}

/// What is missing.
fn warnings(campaign: &Campaign) -> Vec<Block> {
    let mut warnings = Vec::new();
    let missing = campaign.conditions.iter().filter(|found| !found.is_complete).count();
    let (recorded, planned) = (campaign.recorded(), campaign.info.plan.len());
    if missing > 0 {
        let conditions = counted(missing as u64, "condition is", "conditions are");
        let most = if campaign.info.plan.precision.is_some() { "at most " } else { "" };
        warnings.push(Block::warning(format!(
            "This campaign is not finished: {} of {most}{} are recorded ({}), and {conditions} not complete. What follows rests on these alone; \
             temper campaign run goes on with it.",
            counted(recorded, "trial", "trials"),
            Format::Count.text(planned as f64),
            percent(recorded as f64 / planned as f64, 1)
        )));
    }
    if campaign.imprecise() > 0 {
        let conditions = counted(campaign.imprecise() as u64, "condition is", "conditions are");
        warnings.push(Block::warning(format!(
            "{conditions} not known to the precision that the specification asks, after the most draws that it allows; their intervals are wider."
        )));
    }
    if recorded == 0 {
        warnings.push(Block::warning("No trial is recorded yet: there is nothing to show."));
    }
    if campaign.torn > 0 {
        let torn = counted(campaign.torn as u64, "unfinished record", "unfinished records");
        warnings.push(Block::warning(format!("Left out: {torn} of killed runs; their trials run again.")));
    }
    warnings
}

/// The measured condition with the lowest accuracy.
fn worst(campaign: &Campaign) -> Option<&Found> {
    let mean = |found: &&Found| found.summary.accuracy.map_or(f64::NAN, |accuracy| accuracy.mean);
    campaign.measured().min_by(|a, b| mean(a).total_cmp(&mean(b)))
}

fn key_figures(campaign: &Campaign, worst: &Found) -> Vec<KeyFigure> {
    let (summary, unit) = (&worst.summary, campaign.unit());
    let confidence = level(campaign.confidence);
    let mut figures = vec![KeyFigure::new(
        format!("Accuracy without {}", campaign.cause()),
        percent(summary.golden_accuracy, 2),
        match campaign.golden() {
            Some(_) => "golden run".to_owned(),
            None => format!("golden run, {}", worst.label),
        },
    )];
    figures.extend(lost(campaign, summary));
    if let Some(draw) = summary.worst {
        figures.push(KeyFigure::new(
            format!("Worst {unit}"),
            percent(draw.accuracy, 2),
            format!("trial {}, of {}", draw.trial, counted(worst.recorded, unit, &format!("{unit}s"))),
        ));
    }
    if let Some(good) = worst.good {
        let (low, high) = good.clopper_pearson;
        figures.push(KeyFigure::new(
            "Yield",
            percent(good.estimate, 1),
            format!(
                "{unit}s that lose at most {}; {confidence} interval {} to {}",
                percent(TOLERANCE, 0),
                percent(low, 1),
                percent(high, 1)
            ),
        ));
    }
    if let Some(shares) = &summary.shares {
        let part = |share: DrawEstimate| percent(share.mean, 2);
        figures.push(KeyFigure::new(
            "Silently wrong",
            part(shares.sdc),
            "of inferences have another answer (SDC)",
        ));
        figures.push(KeyFigure::new(
            "Visibly broken",
            part(shares.due),
            "of inferences end in NaN or infinity (DUE)",
        ));
    }
    figures
}

/// What is lost, in percentage points.
fn lost(campaign: &Campaign, summary: &ConditionSummary) -> Option<KeyFigure> {
    let (accuracy, drop) = (summary.accuracy?, summary.accuracy_drop?);
    let points = |share: f64| format!("{:.2}", 100.0 * share).replace('-', "−");
    let (low, high) = drop.interval;
    let interval = accuracy.interval.map_or(String::new(), |_| {
        format!("; {} interval {} to {}", level(campaign.confidence), points(low), points(high))
    });
    let label = if campaign.conditions.len() > 1 {
        "Lost in the worst condition".to_owned()
    } else {
        format!("Lost to {}", campaign.cause())
    };
    Some(KeyFigure::new(label, points(drop.estimate), format!("percentage points{interval}")))
}

fn sentence(campaign: &Campaign, worst: &Found) -> String {
    let summary = &worst.summary;
    let Some(accuracy) = summary.accuracy else { return String::new() };
    let unit = campaign.unit();
    let interval = accuracy.interval.map_or(String::new(), |(low, high)| {
        format!(" ({} interval {} to {})", level(campaign.confidence), percent(low, 2), percent(high, 2))
    });
    let place = if worst.label.is_empty() {
        String::new()
    } else {
        format!(
            ". This is the worst of {}: {}",
            counted(campaign.measured().count() as u64, "condition", "conditions"),
            worst.label
        )
    };
    format!(
        "With {} the network answers {} of the images rightly{interval}, on average over {}; without {}{place}.",
        campaign.cause(),
        percent(accuracy.mean, 2),
        counted(accuracy.draws as u64, unit, &format!("{unit}s")),
        percent(summary.golden_accuracy, 2),
    )
}

/// All conditions in figures.
pub(super) fn table(campaign: &Campaign) -> Block {
    let share = Some(Format::Share);
    let interval = format!("{} interval", level(campaign.confidence));
    let yields = campaign.conditions.iter().any(|found| found.good.is_some());
    let faults = campaign.conditions.iter().any(|found| found.summary.faults.is_some());
    let mut columns: Vec<(&str, Option<Format>)> = campaign
        .axes
        .iter()
        .enumerate()
        .map(|(i, axis)| {
            let swept = |found: &Found| names::number(&found.summary.condition.swept[i].value).is_some();
            (axis.as_str(), campaign.conditions.iter().all(swept).then_some(Format::Plain))
        })
        .collect();
    columns.extend([
        ("draws", Some(Format::Count)),
        ("faults of a draw", Some(Format::Plain)),
        ("golden", share),
        ("accuracy", share),
        (interval.as_str(), share),
        ("std", share),
        ("worst", share),
        ("drop", Some(Format::Change)),
        ("masked", share),
        ("sdc", share),
        ("critical", share),
        ("due", share),
    ]);
    if yields {
        columns.extend([("yield", share), ("interval of yield", share)]);
    }
    if faults {
        columns.extend([("critical faults", share), ("interval of critical faults", share)]);
    }
    let mut table = Table::new(&columns);
    for found in &campaign.conditions {
        let summary = &found.summary;
        let mut row: Vec<Cell> = summary
            .condition
            .swept
            .iter()
            .map(|swept| {
                let text = || Cell::text(names::value(&swept.value));
                names::number(&swept.value).map_or_else(text, Cell::Number)
            })
            .collect();
        row.extend(figures(found, summary));
        if yields {
            row.push(Cell::number(found.good.map(|good| good.estimate)));
            row.push(Cell::interval(found.good.map(|good| good.clopper_pearson)));
        }
        if faults {
            row.push(Cell::number(summary.faults.map(|faults| faults.critical.estimate)));
            row.push(Cell::interval(summary.faults.map(|faults| faults.critical.wilson)));
        }
        table.rows.push(row);
    }
    let caption = "Accuracy, interval, standard deviation and worst are over draws; masked, SDC, critical and DUE are shares of inferences.";
    Block::Table { id: "conditions".to_owned(), caption: caption.to_owned(), table }
}

fn figures(found: &Found, summary: &ConditionSummary) -> Vec<Cell> {
    let accuracy = summary.accuracy;
    let share = |of: fn(&OutcomeShares) -> DrawEstimate| {
        Cell::number(summary.shares.as_ref().map(|shares| of(shares).mean))
    };
    vec![
        Cell::Number(found.recorded as f64),
        Cell::Number(summary.mean_faults),
        Cell::Number(summary.golden_accuracy),
        Cell::number(accuracy.map(|accuracy| accuracy.mean)),
        Cell::interval(accuracy.and_then(|accuracy| accuracy.interval)),
        Cell::number(summary.chip_std),
        Cell::number(summary.worst.map(|worst| worst.accuracy)),
        Cell::number(summary.accuracy_drop.map(|drop| drop.estimate)),
        share(|shares| shares.masked),
        share(|shares| shares.sdc),
        share(|shares| shares.critical),
        share(|shares| shares.due),
    ]
}
