//! Accuracies of many variants under the same faults.

use temper_core::analysis::ConditionSummary;
use temper_core::campaign::Condition;

use super::outcome::ExperimentSummary;
use super::{CONFIDENCE, Experiment, left_out, mean, tables};
use crate::chart::{Axis, Band, Chart, Dots, Line, Lines, Point, Spread};
use crate::number::{Format, counted, level};
use crate::report::{Block, Figure};
use crate::source::campaign::Campaign;
use crate::source::campaign::curves::{View, alt, alt_of_rows, numeric_axes, slug, x_axis, x_of};
use crate::source::names;
use crate::table::{Cell, Table};

/// Figures of one axis: one for each combination of the other axes' values.
const MOST_FIGURES: usize = 6;
/// Rows of a figure.
const MOST_ROWS: usize = 60;

/// The variants of one group under one condition.
type Members<'a> = Vec<&'a ConditionSummary>;

/// The measured campaigns of one name, by group.
struct Measured<'a> {
    name: &'a str,
    groups: Vec<(&'a str, Vec<&'a Campaign>)>,
    /// The groups that are drawn.
    drawn: Vec<&'a str>,
    /// What all of them measured.
    summaries: Vec<&'a ConditionSummary>,
    axes: Vec<String>,
}

/// The figures and the table of the campaigns of one name.
pub(super) fn blocks(experiment: &Experiment, summary: &ExperimentSummary, name: &str) -> Vec<Block> {
    let groups = experiment.groups(|variant| experiment.measured(variant, name));
    let summaries: Vec<&ConditionSummary> = groups
        .iter()
        .flat_map(|(_, members)| members)
        .flat_map(|campaign| campaign.measured())
        .map(|found| &found.summary)
        .collect();
    if summaries.is_empty() {
        return Vec::new();
    }
    let conditions: Vec<Condition> = summaries.iter().map(|summary| summary.condition.clone()).collect();
    let measured =
        Measured { name, groups, drawn: experiment.drawn(), axes: names::axes(&conditions), summaries };
    let has_axes = |summary: &&ConditionSummary| summary.condition.swept.len() == measured.axes.len();
    // Variants may change what is swept; then they have no axis in common.
    let numeric =
        if measured.summaries.iter().all(has_axes) { numeric_axes(&measured.summaries) } else { Vec::new() };
    let mut figures: Vec<Figure> = numeric.iter().flat_map(|&axis| measured.curves(axis)).collect();
    if figures.is_empty() {
        figures.extend(measured.rows());
    }
    let mut blocks: Vec<Block> = figures.into_iter().map(Block::figure).collect();
    blocks.push(tables::worst(experiment, summary, name));
    blocks.extend(tables::repetitions(experiment, summary, name));
    blocks.extend(tables::comparisons(experiment, name));
    blocks
}

impl Measured<'_> {
    /// Curves over an axis, one figure for each combination of the others' values and each view.
    fn curves(&self, axis: usize) -> Vec<Figure> {
        let mut others: Vec<String> = Vec::new();
        for summary in &self.summaries {
            let label = names::condition(&summary.condition, &self.axes, Some(axis));
            if !others.contains(&label) {
                others.push(label);
            }
        }
        let all = others.len();
        let shown = others.into_iter().take(MOST_FIGURES).enumerate();
        let views = |(number, other): (usize, String)| {
            [View::Accuracy, View::Change].map(|view| self.curve(axis, (number, &other, all), view))
        };
        shown.flat_map(views).collect()
    }

    fn curve(&self, axis: usize, (number, other, all): (usize, &str, usize), view: View) -> Figure {
        let name = &self.axes[axis];
        let is_its = |summary: &ConditionSummary| {
            names::condition(&summary.condition, &self.axes, Some(axis)) == *other
        };
        let repeated = self.groups.iter().any(|(_, campaigns)| campaigns.len() > 1);
        let band = if repeated { Band::Range } else { Band::Interval };
        let line = |(group, campaigns): &(&str, Vec<&Campaign>)| {
            let points = points(campaigns, axis, view, &is_its);
            (!points.is_empty()).then(|| Line { label: (*group).to_owned(), points, band })
        };
        let mut lines: Vec<Line> = self.groups.iter().filter_map(line).collect();
        let bounds = if repeated {
            "range over repetitions".to_owned()
        } else {
            format!("{} interval", level(CONFIDENCE))
        };
        let (table, of) = (table(&lines, name, view, &bounds), lines.len());
        lines.retain(|line| self.drawn.contains(&line.label.as_str()));
        let (kind, title, what) = match view {
            View::Accuracy if repeated => {
                ("accuracy", "Accuracy", "Mean over draws and repetitions, with the range of the repetitions' means.".to_owned())
            }
            View::Accuracy => ("accuracy", "Accuracy", format!("Mean over draws, with its {bounds}.")),
            View::Change => (
                "change",
                "Change of accuracy",
                "The same, less what each variant's network has without faults: shapes can be compared where golden accuracies differ.".to_owned(),
            ),
        };
        let lines_left_out = left_out(lines.len(), of);
        let figures_left_out = if all > MOST_FIGURES {
            format!(" Drawn for {MOST_FIGURES} of {all} combinations of the other fields.")
        } else {
            String::new()
        };
        let at = if other.is_empty() { String::new() } else { format!(", {other}") };
        let suffix = if all > 1 { format!("-{}", number + 1) } else { String::new() };
        Figure {
            id: format!("{}-{kind}-over-{}{suffix}", self.name, slug(name)),
            title: format!("{title} over {name}{at}"),
            caption: what + &lines_left_out + &figures_left_out,
            alt: alt(&lines, name, view.title(), None),
            chart: Chart::Lines(Lines {
                x: x_axis(&self.summaries, axis, name),
                y: Axis { format: view.format(), limits: Some(view.limits()), ..Axis::share(view.title()) },
                lines,
                markers: Vec::new(),
                reference: (view == View::Change).then(|| (0.0, "without faults".to_owned())),
                dots: true,
            }),
            table,
        }
    }

    /// A row for each variant under each condition, where no number was swept.
    fn rows(&self) -> Option<Figure> {
        let mut labels: Vec<String> = Vec::new();
        for summary in &self.summaries {
            let label = names::condition(
                &summary.condition,
                &names::axes(std::slice::from_ref(&summary.condition)),
                None,
            );
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let interval = format!("{} interval", level(CONFIDENCE));
        let mut table = Table::new(&[
            ("condition", None),
            ("variant", None),
            ("accuracy", Some(Format::Share)),
            (interval.as_str(), Some(Format::Share)),
        ]);
        let mut rows = Vec::new();
        for condition in &labels {
            for (group, campaigns) in &self.groups {
                let members: Members<'_> = campaigns
                    .iter()
                    .flat_map(|campaign| campaign.measured())
                    .filter(|found| found.label == *condition)
                    .map(|found| &found.summary)
                    .collect();
                if members.is_empty() {
                    continue;
                }
                let (value, band) = middle(&members, mean);
                table.rows.push(vec![
                    Cell::text(condition),
                    Cell::text(*group),
                    Cell::Number(value),
                    Cell::interval(band),
                ]);
                rows.push(Spread {
                    label: (*group).to_owned(),
                    group: condition.clone(),
                    values: if members.len() > 1 {
                        members.iter().map(|summary| (mean(summary), String::new())).collect()
                    } else {
                        Vec::new()
                    },
                    distribution: None,
                    mean: value,
                    interval: band,
                });
            }
        }
        let all = rows.len();
        rows.truncate(MOST_ROWS);
        let first = rows.first()?;
        let note = if all > rows.len() {
            format!(" The first {} of {all} rows.", rows.len())
        } else {
            String::new()
        };
        Some(Figure {
            id: format!("{}-accuracy", self.name),
            title: "Accuracy of each variant".to_owned(),
            caption: format!(
                "Mean over draws, with its {interval}; of repetitions their mean and range.{note}"
            ),
            alt: alt_of_rows(first, &counted(rows.len() as u64, "row", "rows")),
            chart: Chart::Dots(Dots {
                x: Axis::share("accuracy"),
                rows,
                unit: "repetition".to_owned(),
                reference: None,
            }),
            table,
        })
    }
}

/// A group's points from left to right.
fn points(
    campaigns: &[&Campaign],
    axis: usize,
    view: View,
    is_its: &dyn Fn(&ConditionSummary) -> bool,
) -> Vec<Point> {
    let mut by_x: Vec<(f64, Members<'_>)> = Vec::new();
    for found in
        campaigns.iter().flat_map(|campaign| campaign.measured()).filter(|found| is_its(&found.summary))
    {
        let x = x_of(&found.summary.condition, axis);
        match by_x.iter_mut().find(|(known, _)| *known == x) {
            Some((_, members)) => members.push(&found.summary),
            None => by_x.push((x, vec![&found.summary])),
        }
    }
    by_x.sort_by(|a, b| a.0.total_cmp(&b.0));
    let point = |(x, members): (f64, Members<'_>)| {
        let (y, band) = middle(&members, |summary| view.of(summary));
        Point { x, y, band }
    };
    by_x.into_iter().map(point).collect()
}

/// The mean over repetitions with their range; of one its own value and interval.
fn middle(members: &[&ConditionSummary], of: impl Fn(&ConditionSummary) -> f64) -> (f64, Option<(f64, f64)>) {
    if let [only] = members {
        let (value, less) = (of(only), mean(only) - of(only));
        let interval = only.accuracy.and_then(|accuracy| accuracy.interval);
        return (value, interval.map(|(low, high)| (low - less, high - less)));
    }
    let values = || members.iter().map(|summary| of(summary));
    let (low, high) =
        values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    (values().sum::<f64>() / members.len() as f64, Some((low, high)))
}

fn table(lines: &[Line], axis: &str, view: View, bounds: &str) -> Table {
    let mut table = Table::new(&[
        ("variant", None),
        (axis, Some(Format::Plain)),
        (view.title(), Some(view.format())),
        (bounds, Some(view.format())),
    ]);
    for line in lines {
        table.rows.extend(line.points.iter().map(|point| {
            let (x, y) = (Cell::Number(point.x), Cell::Number(point.y));
            vec![Cell::text(&line.label), x, y, Cell::interval(point.band)]
        }));
    }
    table
}
