//! The trainings of many variants.

use temper_train::training::EpochRecord;

use super::{Experiment, left_out};
use crate::chart::{Axis, Band, Chart, Line, Lines, Point, Scale};
use crate::number::{Format, counted};
use crate::report::{Block, Figure};
use crate::source::training::Trained;
use crate::table::{Cell, Table};

/// A curve over epochs.
struct Curve {
    id: &'static str,
    title: &'static str,
    caption: &'static str,
    y: Axis,
    of: fn(&EpochRecord) -> f64,
}

/// The figures and the table of all trainings.
pub(super) fn blocks(experiment: &Experiment) -> Vec<Block> {
    let groups = trained(experiment);
    if groups.is_empty() {
        return Vec::new();
    }
    let drawn = experiment.drawn();
    let records = || groups.iter().flat_map(|(_, members)| members).flat_map(|trained| &trained.history);
    let curves = [
        Curve {
            id: "training-accuracy",
            title: "Test accuracy over epochs",
            caption: "After each epoch, of the network as it is stored.",
            y: Axis::share("test accuracy"),
            of: |record| record.test_accuracy,
        },
        Curve {
            id: "training-loss",
            title: "Training loss over epochs",
            caption: "Mean loss of an image as it was trained on, without regularisers. Where it is infinite or no number the line is broken.",
            y: Axis::plain(
                "training loss",
                Scale::of(records().map(|record| record.train_loss).collect::<Vec<_>>().into_iter()),
            ),
            of: |record| record.train_loss,
        },
        Curve {
            id: "training-weights",
            title: "Standard deviation of weights over epochs",
            caption: "Of all convolutions and linear layers together.",
            y: Axis::plain("standard deviation of weights", Scale::Linear),
            of: |record| record.weights.std,
        },
    ];
    let mut blocks: Vec<Block> =
        curves.into_iter().map(|curve| Block::figure(figure(&groups, &drawn, curve))).collect();
    blocks.push(table(experiment));
    blocks
}

/// The groups with the trainings of their members that have begun, each training once.
fn trained(experiment: &Experiment) -> Vec<(&str, Vec<&Trained>)> {
    let mut seen = Vec::new();
    let mut groups = Vec::new();
    for (group, places) in experiment.groups(|variant| variant.training) {
        let mut members = Vec::new();
        for place in places {
            let found =
                experiment.trainings[place].trained.as_ref().filter(|trained| !trained.history.is_empty());
            if let Some(trained) = found.filter(|_| !seen.contains(&place)) {
                seen.push(place);
                members.push(trained);
            }
        }
        if !members.is_empty() {
            groups.push((group, members));
        }
    }
    groups
}

fn figure(groups: &[(&str, Vec<&Trained>)], drawn: &[&str], curve: Curve) -> Figure {
    let repeated = groups.iter().any(|(_, members)| members.len() > 1);
    let band = if repeated { Band::Range } else { Band::None };
    let line = |(group, members): &(&str, Vec<&Trained>)| Line {
        label: (*group).to_owned(),
        points: points(members, curve.of),
        band,
    };
    let mut lines: Vec<Line> = groups.iter().map(line).collect();
    let all = lines.len();
    let mut columns = vec![
        ("variant", None),
        ("epoch", Some(Format::Count)),
        (curve.y.title.as_str(), Some(curve.y.format)),
    ];
    if repeated {
        columns.push(("range over repetitions", Some(curve.y.format)));
    }
    let mut table = Table::new(&columns);
    for line in &lines {
        table.rows.extend(line.points.iter().map(|point| {
            let mut row = vec![Cell::text(&line.label), Cell::Number(point.x), Cell::Number(point.y)];
            row.extend(repeated.then(|| Cell::interval(point.band)));
            row
        }));
    }
    let range = if repeated { " Mean over repetitions, with their range." } else { "" };
    lines.retain(|line| drawn.contains(&line.label.as_str()));
    let left_out = left_out(lines.len(), all);
    let x = Axis { title: "epoch".to_owned(), scale: Scale::Linear, format: Format::Count, limits: None };
    Figure {
        id: curve.id.to_owned(),
        title: curve.title.to_owned(),
        caption: format!("{}{range}{left_out}", curve.caption),
        alt: format!(
            "{} over epochs: {}.",
            counted(lines.len() as u64, "line", "lines"),
            curve.title.to_lowercase()
        ),
        chart: Chart::Lines(Lines {
            x,
            y: curve.y,
            lines,
            markers: Vec::new(),
            reference: None,
            dots: false,
        }),
        table,
    }
}

/// The mean of a group's trainings after each epoch that any of them has.
fn points(members: &[&Trained], of: fn(&EpochRecord) -> f64) -> Vec<Point> {
    let epochs = members.iter().map(|trained| trained.history.len()).max().unwrap_or(0);
    let point = |epoch: usize| {
        let values: Vec<f64> =
            members.iter().filter_map(|trained| trained.history.get(epoch)).map(of).collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        let y = values.iter().sum::<f64>() / values.len() as f64;
        Point { x: (epoch + 1) as f64, y, band: (members.len() > 1).then_some((low, high)) }
    };
    (0..epochs).map(point).collect()
}

fn table(experiment: &Experiment) -> Block {
    let share = Some(Format::Share);
    let mut table = Table::new(&[
        ("training of", None),
        ("verdict", None),
        ("epochs", Some(Format::Count)),
        ("best epoch", Some(Format::Count)),
        ("test accuracy, best epoch", share),
        ("test accuracy, last epoch", share),
        ("std of weights", Some(Format::Plain)),
        ("norm of weights", Some(Format::Plain)),
    ]);
    for (planned, found) in experiment.dir.plan.trainings.iter().zip(&experiment.trainings) {
        let Some(trained) = &found.trained else { continue };
        let last = trained.history.last();
        let result = trained.result.as_ref();
        let phase = result.and_then(|result| result.phases.last());
        // Epochs count within the last phase.
        table.rows.push(vec![
            Cell::text(&planned.variant),
            Cell::text(result.map_or("not finished", |result| result.verdict.short())),
            Cell::Number(trained.history.len() as f64),
            Cell::number(phase.map(|phase| phase.best_epoch as f64)),
            Cell::number(phase.map(|phase| phase.best_test_accuracy)),
            Cell::number(last.map(|record| record.test_accuracy)),
            Cell::number(last.map(|record| record.weights.std)),
            Cell::number(last.map(|record| record.weights.l2_norm)),
        ]);
    }
    let caption = "All trainings. The best epoch counts within the last phase; weights are those of all convolutions and linear layers after the last epoch.";
    Block::Table { id: "trainings".to_owned(), caption: caption.to_owned(), table }
}
