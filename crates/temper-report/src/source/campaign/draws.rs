//! Single draws, and what becomes of inferences.

use super::confusion::Changes;
use super::curves::lowest;
use super::{Campaign, Found, names};
use crate::chart::{Axis, Chart, Distribution, Dots, Shares, SharesRow, Spread};
use crate::number::{Format, counted, percent};
use crate::report::{Block, Figure};
use crate::table::{Cell, Table};

/// Conditions drawn.
const MOST_ROWS: usize = 24;

/// Which conditions are drawn, if not all.
fn note(campaign: &Campaign, drawn: usize) -> String {
    let all = campaign.measured().count();
    if all > drawn {
        format!(" Of {all} conditions the {drawn} with the lowest accuracies are drawn.")
    } else {
        String::new()
    }
}

/// The accuracies of single draws.
pub(super) fn swarm(campaign: &Campaign) -> Vec<Block> {
    let unit = campaign.unit();
    let shown: Vec<_> =
        lowest(campaign, MOST_ROWS).into_iter().filter(|found| !found.dots.is_empty()).collect();
    if shown.is_empty() {
        let partial = campaign.measured().next().is_some();
        let text = "Draws ran part of the images: the chance of these would spread their single accuracies, so they are not drawn.";
        return if partial { vec![Block::text(text)] } else { Vec::new() };
    }
    let mut table = Table::new(&[
        ("condition", None),
        ("draws", Some(Format::Count)),
        ("least", Some(Format::Share)),
        ("5 %", Some(Format::Share)),
        ("25 %", Some(Format::Share)),
        ("median", Some(Format::Share)),
        ("75 %", Some(Format::Share)),
        ("95 %", Some(Format::Share)),
        ("most", Some(Format::Share)),
    ]);
    let mut rows = Vec::new();
    let mut thinned = false;
    for found in &shown {
        let Some((row, cells)) = spread(found, campaign) else { continue };
        thinned |= found.dots.len() < found.summary.accuracy.map_or(0, |accuracy| accuracy.draws);
        table.rows.push(cells);
        rows.push(row);
    }
    let many = if thinned {
        " Where there are many, evenly spaced ones by rank are drawn, the ends included."
    } else {
        ""
    };
    let medians = rows.iter().filter_map(|row| row.distribution).map(|all| all.median);
    let (low, high) = medians.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (x.min(a), x.max(b)));
    vec![Block::figure(Figure {
        id: "draws".to_owned(),
        title: format!("Accuracy of every {unit}"),
        caption: format!(
            "A dot is a {unit}, on all images; boxes hold the middle half.{many}{}",
            note(campaign, rows.len())
        ),
        alt: format!(
            "Dots of the accuracies of draws under {}; medians from {} to {}.",
            counted(rows.len() as u64, "condition", "conditions"),
            Format::Share.text(low),
            Format::Share.text(high)
        ),
        chart: Chart::Dots(Dots {
            x: Axis::share("accuracy"),
            rows,
            unit: unit.to_owned(),
            reference: campaign.reference(),
        }),
        table,
    })]
}

/// A condition's draws as a row of the figure, and of its table.
fn spread(found: &Found, campaign: &Campaign) -> Option<(Spread, Vec<Cell>)> {
    let summary = &found.summary;
    let (accuracy, at) = (summary.accuracy?, summary.accuracy_quantiles?);
    let (group, label) = names::row(&summary.condition, &campaign.axes);
    let numbers = [accuracy.min, at.p05, at.p25, at.p50, at.p75, at.p95, accuracy.max];
    let mut cells = vec![Cell::text(&found.label), Cell::Number(accuracy.draws as f64)];
    cells.extend(numbers.map(Cell::Number));
    let unit = campaign.unit();
    let row = Spread {
        label,
        group,
        values: found.dots.iter().map(|(value, draw)| (*value, format!("{unit} {draw}"))).collect(),
        distribution: Some(Distribution {
            min: accuracy.min,
            lower: at.p25,
            median: at.p50,
            upper: at.p75,
            max: accuracy.max,
        }),
        mean: accuracy.mean,
        interval: accuracy.interval,
    };
    Some((row, cells))
}

/// Answers that change, or why they are not shown.
fn answers(changes: Option<&Changes>) -> Block {
    let Some(changes) = changes else {
        return Block::text(
            "Which answers changed is not shown: the golden answers are not in the directory. Running the campaign again writes them, and \
             no trial anew.",
        );
    };
    match changes.figure() {
        Some(figure) => Block::figure(figure),
        None if changes.is_empty() => {
            Block::text("Which answers changed is not shown: no draw ran all images.")
        }
        None => Block::text("Which answers changed is not shown: there are too many classes for a picture."),
    }
}

/// Shares of outcomes, and answers that change.
pub(super) fn outcomes(campaign: &Campaign) -> Vec<Block> {
    let mut blocks: Vec<Block> = shares(campaign).into_iter().map(Block::figure).collect();
    if campaign.info.spec.record.predictions {
        blocks.push(answers(campaign.changes.as_ref()));
    }
    blocks
}

fn shares(campaign: &Campaign) -> Option<Figure> {
    let shown = lowest(campaign, MOST_ROWS);
    let mut table = Table::new(&[
        ("condition", None),
        ("masked", Some(Format::Share)),
        ("sdc", Some(Format::Share)),
        ("due", Some(Format::Share)),
    ]);
    let mut rows = Vec::new();
    for found in shown {
        let shares = found.summary.shares.as_ref()?;
        let (group, label) = names::row(&found.summary.condition, &campaign.axes);
        let parts = [shares.masked.mean, shares.sdc.mean, shares.due.mean];
        let mut row = vec![Cell::text(&found.label)];
        row.extend(parts.map(Cell::Number));
        table.rows.push(row);
        rows.push(SharesRow { label, group, shares: parts.to_vec() });
    }
    let last = rows.last()?;
    Some(Figure {
        id: "outcomes".to_owned(),
        title: "Shares of outcomes".to_owned(),
        caption: format!(
            "Of all inferences: masked keep their answer; SDC, silent data corruption, have another one; DUE end in a NaN or an infinity, which can be \
             detected.{}",
            note(campaign, rows.len())
        ),
        alt: format!(
            "A bar for each of {}, divided into masked, SDC and DUE; the last, {}: masked {}, SDC {}, DUE {}.",
            counted(rows.len() as u64, "condition", "conditions"),
            last.label,
            percent(last.shares[0], 1),
            percent(last.shares[1], 1),
            percent(last.shares[2], 1)
        ),
        chart: Chart::Shares(Shares {
            title: "share of inferences".to_owned(),
            parts: vec![
                "masked".to_owned(),
                "SDC: silently another answer".to_owned(),
                "DUE: NaN or infinity".to_owned(),
            ],
            rows,
        }),
        table,
    })
}
