//! Accuracy over swept numbers.

use temper_core::analysis::ConditionSummary;
use temper_core::campaign::{Condition, SweptValue};

use super::{Campaign, names, only_golden};
use crate::chart::{Axis, Band, Chart, Dots, Line, Lines, Point, Scale, Spread};
use crate::number::{Format, counted, level};
use crate::report::{Block, Figure};
use crate::table::{Cell, Table};

/// Lines that can be told apart.
pub(in crate::source) const MOST_LINES: usize = 12;
/// Rows of a figure.
const MOST_ROWS: usize = 40;

/// Whether accuracies are shown as they are, or less what the network has without faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum View {
    Accuracy,
    Change,
}

/// The figures of a campaign's accuracies.
pub(super) fn blocks(campaign: &Campaign) -> Vec<Block> {
    let summaries: Vec<&ConditionSummary> = campaign.measured().map(|found| &found.summary).collect();
    let numeric = numeric_axes(&summaries);
    let mut figures: Vec<Figure> = Vec::new();
    for axis in numeric {
        for view in [View::Accuracy, View::Change] {
            figures.push(curve(&summaries, axis, view, (campaign.confidence, campaign.cause())));
        }
    }
    if figures.is_empty() {
        figures.extend(bars(campaign));
    }
    figures.into_iter().map(Block::figure).collect()
}

/// The places of axes with several numbers as values, and no words.
pub(in crate::source) fn numeric_axes(summaries: &[&ConditionSummary]) -> Vec<usize> {
    let Some(first) = summaries.first() else { return Vec::new() };
    let is_numeric = |axis: &usize| {
        let values = summaries.iter().map(|summary| names::number(&summary.condition.swept[*axis].value));
        let Some(mut values) = values.collect::<Option<Vec<f64>>>() else { return false };
        values.sort_by(f64::total_cmp);
        values.dedup();
        values.len() > 1
    };
    (0..first.condition.swept.len()).filter(is_numeric).collect()
}

/// Conditions that differ in one axis only, in the order of their first.
fn lines<'a>(
    summaries: &[&'a ConditionSummary],
    axis: usize,
    names: &[String],
) -> Vec<(String, Vec<&'a ConditionSummary>)> {
    let mut lines: Vec<(String, Vec<&ConditionSummary>)> = Vec::new();
    let mut place = std::collections::HashMap::new();
    for &summary in summaries {
        let label = names::others(&summary.condition, names, axis);
        let at = *place.entry(label.clone()).or_insert(lines.len());
        if at == lines.len() {
            lines.push((label, Vec::new()));
        }
        lines[at].1.push(summary);
    }
    lines
}

pub(in crate::source) fn x_of(condition: &Condition, axis: usize) -> f64 {
    names::number(&condition.swept[axis].value).unwrap_or(f64::NAN)
}

fn curve(
    summaries: &[&ConditionSummary],
    axis: usize,
    view: View,
    (confidence, cause): (f64, &str),
) -> Figure {
    let conditions: Vec<Condition> = summaries.iter().map(|summary| summary.condition.clone()).collect();
    let axes = names::axes(&conditions);
    let found = lines(summaries, axis, &axes);
    let mean = |summary: &ConditionSummary| summary.accuracy.map_or(f64::NAN, |accuracy| accuracy.mean);
    let all = found.len();
    let shown =
        worst_lines(found, |line| line.iter().map(|summary| mean(summary)).fold(f64::INFINITY, f64::min));
    let golden = only_golden(summaries.iter().copied());
    let reference = match view {
        View::Accuracy => golden,
        View::Change => Some(0.0),
    };
    let name = &axes[axis];
    let interval = format!("{} interval", level(confidence));
    let mut table = Table::new(&[
        ("condition", None),
        (name, Some(Format::Plain)),
        (view.title(), Some(view.format())),
        (interval.as_str(), Some(Format::Share)),
    ]);
    let drawn: Vec<Line> = shown.into_iter().map(|(label, line)| drawn(label, &line, axis, view)).collect();
    for line in &drawn {
        table.rows.extend(line.points.iter().map(|point| {
            let (x, y) = (Cell::Number(point.x), Cell::Number(point.y));
            vec![Cell::text(&line.label), x, y, Cell::interval(point.band)]
        }));
    }
    let others: Vec<&str> = (0..axes.len()).filter(|i| *i != axis).map(|i| axes[i].as_str()).collect();
    let lines = match others.as_slice() {
        [] => String::new(),
        others => format!(" Lines: {}.", others.join(", ")),
    };
    let note = if all > drawn.len() {
        format!(
            " Of {all} lines the {} that fall lowest are drawn; the table of conditions has all.",
            drawn.len()
        )
    } else {
        String::new()
    };
    let (kind, title, caption) = match view {
        View::Accuracy => ("accuracy", "Accuracy", format!("Mean over draws, with its {interval}.")),
        View::Change => (
            "change",
            "Change of accuracy",
            format!(
                "The same, less what each condition's network has without {cause}: shapes can be compared where golden accuracies differ."
            ),
        ),
    };
    Figure {
        id: format!("{kind}-over-{}", slug(name)),
        title: format!("{title} over {name}"),
        caption: caption + &lines + &note,
        alt: alt(&drawn, name, view.title(), golden.filter(|_| view == View::Accuracy)),
        chart: Chart::Lines(Lines {
            x: x_axis(summaries, axis, name),
            y: Axis { format: view.format(), limits: Some(view.limits()), ..Axis::share(view.title()) },
            lines: drawn,
            markers: Vec::new(),
            reference: reference.map(|value| (value, format!("without {cause}"))),
            dots: true,
        }),
        table,
    }
}

/// A line from left to right.
fn drawn(label: String, line: &[&ConditionSummary], axis: usize, view: View) -> Line {
    let mut points: Vec<Point> = line.iter().map(|summary| point(summary, axis, view)).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Line { label, points, band: Band::Interval }
}

impl View {
    /// A condition's value.
    pub(in crate::source) fn of(self, summary: &ConditionSummary) -> f64 {
        let mean = summary.accuracy.map_or(f64::NAN, |accuracy| accuracy.mean);
        match self {
            Self::Accuracy => mean,
            Self::Change => mean - summary.golden_accuracy,
        }
    }

    pub(in crate::source) fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Change => "change of accuracy",
        }
    }

    pub(in crate::source) fn format(self) -> Format {
        match self {
            Self::Accuracy => Format::Share,
            Self::Change => Format::Change,
        }
    }

    pub(in crate::source) fn limits(self) -> (f64, f64) {
        match self {
            Self::Accuracy => (0.0, 1.0),
            Self::Change => (-1.0, 1.0),
        }
    }
}

/// A name for files and links.
pub(in crate::source) fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

pub(in crate::source) fn x_axis(summaries: &[&ConditionSummary], axis: usize, name: &str) -> Axis {
    let values = summaries.iter().map(|summary| x_of(&summary.condition, axis));
    let swept = || summaries.iter().map(|summary| &summary.condition.swept[axis]);
    // Bits are places in a word.
    let is_bit = swept().any(|swept| swept.axis.ends_with("bit"));
    let scale = if is_bit { Scale::Linear } else { Scale::of(values) };
    let whole = swept().all(|swept| matches!(swept.value, SweptValue::Integer(_)));
    let format = if whole && scale == Scale::Linear { Format::Count } else { Format::Plain };
    Axis { title: name.to_owned(), scale, format, limits: None }
}

/// At most so many lines as can be told apart: those that fall lowest, in their order.
fn worst_lines<T>(lines: Vec<(String, T)>, lowest: impl Fn(&T) -> f64) -> Vec<(String, T)> {
    let mut order: Vec<(f64, usize)> =
        lines.iter().enumerate().map(|(i, (_, line))| (lowest(line), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let kept: Vec<usize> = order.into_iter().take(MOST_LINES).map(|(_, i)| i).collect();
    lines.into_iter().enumerate().filter(|(i, _)| kept.contains(i)).map(|(_, line)| line).collect()
}

fn point(summary: &ConditionSummary, axis: usize, view: View) -> Point {
    let less = match view {
        View::Accuracy => 0.0,
        View::Change => summary.golden_accuracy,
    };
    let accuracy = summary.accuracy;
    Point {
        x: x_of(&summary.condition, axis),
        y: view.of(summary),
        band: accuracy.and_then(|accuracy| accuracy.interval).map(|(low, high)| (low - less, high - less)),
    }
}

/// In words: where lines begin and end.
pub(in crate::source) fn alt(lines: &[Line], axis: &str, value: &str, golden: Option<f64>) -> String {
    let mut text = format!("{} of the {value} over {axis}.", counted(lines.len() as u64, "line", "lines"));
    for line in lines.iter().take(3) {
        if let (Some(first), Some(last)) = (line.points.first(), line.points.last()) {
            let name = if line.label.is_empty() { String::new() } else { format!("{}: ", line.label) };
            text = format!(
                "{text} {name}{} at {}, {} at {}.",
                Format::Share.text(first.y),
                Format::Plain.text(first.x),
                Format::Share.text(last.y),
                Format::Plain.text(last.x)
            );
        }
    }
    match golden {
        Some(golden) => format!("{text} Golden accuracy {}.", Format::Share.text(golden)),
        None => text,
    }
}

/// The mean of each condition, where no number was swept.
fn bars(campaign: &Campaign) -> Option<Figure> {
    let interval = format!("{} interval", level(campaign.confidence));
    let mut table = Table::new(&[
        ("condition", None),
        ("accuracy", Some(Format::Share)),
        (interval.as_str(), Some(Format::Share)),
    ]);
    let all = campaign.measured().count();
    let shown: Vec<_> = lowest(campaign, MOST_ROWS);
    let mut rows = Vec::new();
    for found in shown {
        let accuracy = found.summary.accuracy?;
        let (group, label) = names::row(&found.summary.condition, &campaign.axes);
        table.rows.push(vec![
            Cell::text(&found.label),
            Cell::Number(accuracy.mean),
            Cell::interval(accuracy.interval),
        ]);
        rows.push(Spread {
            label,
            group,
            values: Vec::new(),
            distribution: None,
            mean: accuracy.mean,
            interval: accuracy.interval,
        });
    }
    let first = rows.first()?;
    let note = if all > rows.len() {
        format!(" Of {all} conditions the {} with the lowest accuracies are drawn.", rows.len())
    } else {
        String::new()
    };
    Some(Figure {
        id: "accuracy-by-condition".to_owned(),
        title: "Accuracy of each condition".to_owned(),
        caption: format!("Mean over draws, with its {interval}.{note}"),
        alt: alt_of_rows(first, &counted(rows.len() as u64, "condition", "conditions")),
        chart: Chart::Dots(Dots {
            x: Axis::share("accuracy"),
            rows,
            unit: campaign.unit().to_owned(),
            reference: campaign.reference(),
        }),
        table,
    })
}

/// Rows of means in words: how many, and the first.
pub(in crate::source) fn alt_of_rows(first: &Spread, rows: &str) -> String {
    let mean = Format::Share.text(first.mean);
    format!("A dot with its interval for each of {rows}; the first, {}, at {mean}.", first.label)
}

/// At most so many measured conditions: those with the lowest accuracies, in their order.
pub(super) fn lowest(campaign: &Campaign, most: usize) -> Vec<&super::Found> {
    let mean = |found: &super::Found| found.summary.accuracy.map_or(f64::NAN, |accuracy| accuracy.mean);
    let mut order: Vec<&super::Found> = campaign.measured().collect();
    order.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
    order.truncate(most);
    order.sort_by_key(|found| found.summary.condition.id);
    order
}
