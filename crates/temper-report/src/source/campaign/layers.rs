//! Which layers and bits matter.

use std::collections::HashMap;

use temper_core::campaign::Swept;
use temper_core::statistics::{Proportion, stratified_share};

use super::{Campaign, Found, names};
use crate::chart::{Chart, Heat};
use crate::error::ReportError;
use crate::number::{Format, level};
use crate::report::{Block, Figure};
use crate::table::{Cell, Table};

/// Alternatives (formats, models) that are drawn.
const MOST_ALTERNATIVES: usize = 4;

/// The map of layers and bits, and each of them by itself.
pub(super) fn blocks(campaign: &Campaign) -> Result<Vec<Block>, ReportError> {
    let mut blocks: Vec<Block> = Vec::new();
    let (layer, bit) = (axis(campaign, "layer"), axis(campaign, "bit"));
    if let (Some(layer), Some(bit)) = (layer, bit) {
        let alternatives = alternatives(campaign, &[layer, bit]);
        for (i, (label, members)) in alternatives.iter().take(MOST_ALTERNATIVES).enumerate() {
            blocks.push(Block::figure(map(campaign, members, (layer, bit), i, label)));
        }
        if alternatives.len() > MOST_ALTERNATIVES {
            blocks.push(Block::text(format!(
                "The first {MOST_ALTERNATIVES} of {} alternatives are drawn; the table of conditions has all.",
                alternatives.len()
            )));
        }
    }
    for (axis, name) in [(layer, "layer"), (bit, "bit")] {
        if let Some(axis) = axis {
            blocks.extend(recombined(campaign, axis, name)?);
        }
    }
    Ok(blocks)
}

/// The place of an axis among those swept.
fn axis(campaign: &Campaign, name: &str) -> Option<usize> {
    let swept = &campaign.conditions.first()?.summary.condition.swept;
    swept.iter().position(|swept| swept.axis == name)
}

/// The measured conditions by the values of all axes but these.
fn alternatives<'a>(campaign: &'a Campaign, without: &[usize]) -> Vec<(String, Vec<&'a Found>)> {
    let mut groups: Vec<(String, Vec<&Found>)> = Vec::new();
    let mut place = HashMap::new();
    for found in campaign.measured() {
        let swept = found.summary.condition.swept.iter().zip(&campaign.axes).enumerate();
        let others = swept.filter(|(i, _)| !without.contains(i));
        let parts: Vec<String> =
            others.map(|(_, (swept, axis))| format!("{axis} = {}", names::value(&swept.value))).collect();
        let label = parts.join(", ");
        let at = *place.entry(label.clone()).or_insert(groups.len());
        if at == groups.len() {
            groups.push((label, Vec::new()));
        }
        groups[at].1.push(found);
    }
    groups
}

/// How much a condition's faults do: the share of critical ones, where draws are single faults, else the accuracy they cost.
fn harm(found: &Found) -> f64 {
    let cost = found.summary.accuracy_drop.map_or(f64::NAN, |drop| drop.estimate.max(0.0));
    found.summary.faults.map_or(cost, |faults| faults.critical.estimate)
}

fn map(
    campaign: &Campaign,
    members: &[&Found],
    (layer, bit): (usize, usize),
    number: usize,
    label: &str,
) -> Figure {
    let value = |found: &Found, axis: usize| -> Swept { found.summary.condition.swept[axis].clone() };
    let distinct = |axis: usize| {
        let mut texts: Vec<String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for found in members {
            let text = names::value(&value(found, axis).value);
            if known.insert(text.clone()) {
                texts.push(text);
            }
        }
        texts
    };
    let (rows, columns) = (distinct(layer), distinct(bit));
    let place = |texts: &[String]| -> HashMap<String, usize> {
        texts.iter().cloned().enumerate().map(|(i, text)| (text, i)).collect()
    };
    let (row_of, column_of) = (place(&rows), place(&columns));
    let mut values = vec![f64::NAN; rows.len() * columns.len()];
    let singles = members.iter().all(|found| found.summary.faults.is_some());
    let what = if singles { "share of critical faults" } else { "accuracy lost, mean over draws" };
    let mut table = Table::new(&[("layer", None), ("bit", None), (what, Some(Format::Share))]);
    for found in members {
        let (name, column) =
            (names::value(&value(found, layer).value), names::value(&value(found, bit).value));
        values[row_of[&name] * columns.len() + column_of[&column]] = harm(found);
        table.rows.push(vec![Cell::text(name), Cell::text(column), Cell::Number(harm(found))]);
    }
    let most = members.iter().max_by(|a, b| harm(a).total_cmp(&harm(b)));
    let most = most.map_or(String::new(), |found| {
        format!(
            " Most in {}, bit {}: {}.",
            names::value(&value(found, layer).value),
            names::value(&value(found, bit).value),
            Format::Share.text(harm(found))
        )
    });
    let of = if label.is_empty() { String::new() } else { format!(": {label}") };
    Figure {
        id: format!("layers-and-bits-{}", number + 1),
        title: format!("Vulnerability of layers and bits{of}"),
        caption: format!("Colour: {what}. Bit 0 is the least significant."),
        alt: format!("A matrix of {} layers and {} bits.{most}", rows.len(), columns.len()),
        chart: Chart::Heat(Heat {
            x_title: "bit".to_owned(),
            y_title: campaign.axes[layer].clone(),
            value_title: what.to_owned(),
            columns,
            rows,
            values,
        }),
        table,
    }
}

/// Faults of one layer or bit, of all conditions that have it.
struct Group {
    /// The values of the axes that are neither.
    alternative: String,
    value: String,
    /// Faults there are, and the share of critical ones among those drawn, of each condition.
    strata: Vec<(u64, Proportion)>,
}

/// The faults by the values of an axis; none, unless draws are single faults.
fn groups(campaign: &Campaign, axis: usize) -> Vec<Group> {
    let dividing: Vec<usize> =
        ["layer", "bit"].iter().filter_map(|name| self::axis(campaign, name)).collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut place = HashMap::new();
    for (alternative, members) in alternatives(campaign, &dividing) {
        for found in members {
            let Some(faults) = found.summary.faults else { return Vec::new() };
            let condition = &found.summary.condition;
            let value = names::value(&condition.swept[axis].value);
            let at = *place.entry((alternative.clone(), value.clone())).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Group { alternative: alternative.clone(), value, strata: Vec::new() });
            }
            groups[at].strata.push((condition.sites, faults.critical));
        }
    }
    groups
}

/// A table of one axis, all others recombined with the numbers of faults as weights; where draws are single faults.
fn recombined(campaign: &Campaign, axis: usize, name: &str) -> Result<Option<Block>, ReportError> {
    let groups = groups(campaign, axis);
    let Some(first) = groups.first() else { return Ok(None) };
    let several = groups.iter().any(|group| group.alternative != first.alternative);
    let interval = format!("{} interval", level(campaign.confidence));
    let mut columns = vec![
        (name, None),
        ("faults", Some(Format::Count)),
        ("drawn", Some(Format::Count)),
        ("critical", Some(Format::Share)),
        (interval.as_str(), Some(Format::Share)),
    ];
    if several {
        columns.insert(0, ("alternative", None));
    }
    let mut table = Table::new(&columns);
    for Group { alternative, value, strata } in groups {
        let share = stratified_share(&strata)?;
        let mut row = vec![
            Cell::text(value),
            Cell::Number(strata.iter().map(|stratum| stratum.0 as f64).sum()),
            Cell::Number(strata.iter().map(|stratum| stratum.1.trials as f64).sum()),
            Cell::Number(share.estimate),
            Cell::Interval(share.interval.0, share.interval.1),
        ];
        if several {
            row.insert(0, Cell::text(alternative));
        }
        table.rows.push(row);
    }
    let caption = format!(
        "Share of single faults in each {name} that change any image's answer or make an output infinite or NaN; the other axis recombined with the \
         numbers of faults as weights."
    );
    Ok(Some(Block::Table { id: format!("by-{name}"), caption, table }))
}
