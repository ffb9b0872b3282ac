//! A study's directory.

use std::path::Path;

use temper_core::statistics::quantiles;
use temper_train::study::{Repair, RepairSummary, StudyCondition, StudyRecord, StudySpec, StudySummary};
use temper_train::training::EpochRecord;

use super::training::Trained;
use super::{CONFIDENCE, methods, text_of};
use crate::chart::{Axis, Band, Chart, Distribution, Dots, Line, Lines, Marker, Point, Scale, Spread};
use crate::error::ReportError;
use crate::number::{Format, counted, percent};
use crate::report::{Block, Figure, KeyFigure, Report, Section};
use crate::table::{Cell, Table};

/// A study, and what its folder holds so far.
struct Found {
    spec: StudySpec,
    text: String,
    conditions: Vec<StudyCondition>,
    golden: Option<Trained>,
    records: Vec<StudyRecord>,
    /// Once the golden network is trained and something measured.
    summary: Option<StudySummary>,
    /// For each condition the trainings on chips.
    histories: Vec<Vec<(u64, Vec<EpochRecord>)>>,
}

impl Found {
    fn read(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join("study.toml");
        let text = text_of(&path)?;
        let unreadable = |source| ReportError::StudySpec { path: path.clone(), source };
        let spec = StudySpec::parse(&text).map_err(unreadable)?;
        let conditions = spec.conditions().map_err(unreadable)?;
        let golden = dir.join("golden");
        let golden = if golden.join("recipe.toml").exists() { Some(Trained::read(&golden)?) } else { None };
        let records = StudyRecord::read_all(dir)?;
        if let Some(i) = records.iter().position(|record| record.condition >= conditions.len()) {
            return Err(ReportError::NoCondition {
                path: dir.join("records.jsonl"),
                line: i + 1,
                found: records[i].condition,
                conditions: conditions.len(),
            });
        }
        let trained = golden.as_ref().and_then(|golden| golden.result.as_ref()?.phases.last());
        let summary = trained.filter(|_| !records.is_empty()).map(|phase| {
            StudySummary::new(&spec, &conditions, phase.best_test_accuracy, &records, CONFIDENCE)
        });
        let histories = (0..conditions.len()).map(|condition| spec.histories(dir, condition));
        let histories = histories.collect::<Result<_, _>>()?;
        Ok(Self { spec, text, conditions, golden, records, summary, histories })
    }

    fn label<'a>(&self, repair: &'a RepairSummary) -> &'a str {
        if self.conditions.len() > 1 { &repair.label } else { "" }
    }
}

/// Reports a study.
pub(super) fn read(dir: &Path) -> Result<Report, ReportError> {
    let found = Found::read(dir)?;
    let mut sections =
        vec![Section { id: "summary".to_owned(), title: "Summary".to_owned(), blocks: summary(&found) }];
    if let Some(summary) = &found.summary {
        let mut blocks = vec![Block::figure(swarm(&found, summary)?)];
        blocks.extend(recovered(&found, summary).map(Block::figure));
        sections.push(Section { id: "chips".to_owned(), title: "Chips".to_owned(), blocks });
    }
    let epochs: Vec<Block> = epochs(&found).into_iter().map(Block::figure).collect();
    if !epochs.is_empty() {
        sections.push(Section {
            id: "epochs".to_owned(),
            title: "Retraining on chips".to_owned(),
            blocks: epochs,
        });
    }
    if let Some(golden) = &found.golden {
        let mut blocks = golden.figures("golden-");
        blocks.extend(golden.phases("golden-"));
        sections.push(Section {
            id: "golden".to_owned(),
            title: "The golden network's training".to_owned(),
            blocks,
        });
    }
    sections.push(method(&found));
    let name = found.golden.as_ref().map_or_else(|| "a network".to_owned(), Trained::name);
    let chips = found.spec.chips;
    Ok(Report {
        title: format!("Chips and repairs: {name}"),
        subtitle: format!(
            "{} under {}, and {}.",
            counted(chips.count, "chip", "chips"),
            counted(found.conditions.len() as u64, "condition", "conditions"),
            counted(found.spec.repairs.len() as u64, "repair", "repairs")
        ),
        facts: vec![
            ("data set".to_owned(), found.spec.golden.data.set.clone()),
            ("seed of the training".to_owned(), found.spec.golden.seed.to_string()),
            (
                "seeds of the chips".to_owned(),
                format!("{} to {}", chips.first, chips.first.wrapping_add(chips.count - 1)),
            ),
            ("report by".to_owned(), concat!("temper ", env!("CARGO_PKG_VERSION")).to_owned()),
        ],
        sections,
    })
}

fn summary(found: &Found) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (recorded, expected) = (found.records.len(), found.spec.records(found.conditions.len()));
    if recorded < expected {
        blocks.push(Block::warning(format!(
            "This study is not finished: {recorded} of {} are there ({}). What follows rests on these alone.",
            counted(expected as u64, "record", "records"),
            percent(recorded as f64 / expected as f64, 1)
        )));
    }
    let Some(summary) = &found.summary else {
        blocks.push(Block::warning(
            "Nothing is measured on chips yet: there are no records, or the golden network is not trained.",
        ));
        return blocks;
    };
    let golden = summary.golden_accuracy;
    let mut figures =
        vec![KeyFigure::new("Golden network", percent(golden, 2), "test accuracy without hardware")];
    let mean = |repair: &&RepairSummary| repair.accuracy.mean;
    let least = |a: &&RepairSummary, b: &&RepairSummary| mean(a).total_cmp(&mean(b));
    let stricken = summary.repairs.iter().filter(|repair| repair.repair == Repair::Nothing).min_by(least);
    if let Some(stricken) = stricken {
        figures.push(of_repair("On chips, nothing done", stricken, found));
        figures.push(KeyFigure::new(
            "Worst chip, nothing done",
            percent(stricken.accuracy.min, 2),
            found.label(stricken),
        ));
        let condition = stricken.condition;
        let others = summary.repairs.iter().filter(|repair| {
            repair.condition == condition && !matches!(repair.repair, Repair::Nothing | Repair::OtherChip)
        });
        if let Some(best) = others.max_by(least) {
            figures.push(of_repair(&format!("Best repair: {}", best.repair), best, found));
            let (low, high) = best.good.clopper_pearson;
            figures.push(KeyFigure::new(
                format!("Good chips with {}", best.repair),
                percent(best.good.estimate, 0),
                format!(
                    "accuracy of {} or more; 95\u{a0}% interval {} to {}",
                    percent(summary.yield_accuracy, 2),
                    percent(low, 0),
                    percent(high, 0)
                ),
            ));
        }
    }
    blocks.push(Block::KeyFigures(figures));
    blocks.push(repairs(found, summary));
    blocks
}

fn of_repair(label: &str, repair: &RepairSummary, found: &Found) -> KeyFigure {
    let accuracy = repair.accuracy;
    let interval = accuracy.interval.map_or_else(
        || "a single chip".to_owned(),
        |(low, high)| format!("mean; 95\u{a0}% interval {} to {}", percent(low, 2), percent(high, 2)),
    );
    let condition = found.label(repair);
    let note = if condition.is_empty() { interval } else { format!("{interval}; {condition}") };
    KeyFigure::new(label, percent(accuracy.mean, 2), note)
}

/// The table of repairs.
fn repairs(found: &Found, summary: &StudySummary) -> Block {
    let share = Some(Format::Share);
    let mut columns = vec![
        ("repair", None),
        ("chips", Some(Format::Count)),
        ("accuracy", share),
        ("95 % interval", share),
        ("worst chip", share),
        ("lost", share),
        ("recovered", share),
        ("interval of recovered", share),
        ("good chips", share),
        ("interval of good chips", share),
        ("seconds", Some(Format::Plain)),
    ];
    let several = found.conditions.len() > 1;
    if several {
        columns.insert(0, ("condition", None));
    }
    let mut table = Table::new(&columns);
    for repair in &summary.repairs {
        let recovered = repair.recovered.filter(|_| repair.repair != Repair::Nothing);
        let mut row = vec![
            Cell::text(repair.repair.to_string()),
            Cell::Number(repair.accuracy.draws as f64),
            Cell::Number(repair.accuracy.mean),
            Cell::interval(repair.accuracy.interval),
            Cell::Number(repair.accuracy.min),
            Cell::Number(repair.lost.mean),
            Cell::number(recovered.map(|ratio| ratio.ratio)),
            Cell::interval(recovered.and_then(|ratio| ratio.interval)),
            Cell::Number(repair.good.estimate),
            Cell::Interval(repair.good.clopper_pearson.0, repair.good.clopper_pearson.1),
            Cell::Number(repair.seconds),
        ];
        if several {
            row.insert(0, Cell::text(&repair.label));
        }
        table.rows.push(row);
    }
    let caption = format!(
        "What repairs are worth. Lost: share of the golden accuracy; recovered: share of what the chips lose that the repair gains back; good: \
         chips with an accuracy of {} or more.",
        Format::Share.text(summary.yield_accuracy)
    );
    Block::Table { id: "repairs".to_owned(), caption, table }
}

/// Every chip, without and with each repair.
fn swarm(found: &Found, summary: &StudySummary) -> Result<Figure, ReportError> {
    let mut table = Table::new(&[
        ("condition", None),
        ("repair", None),
        ("chip", Some(Format::Count)),
        ("accuracy", Some(Format::Share)),
    ]);
    let mut rows = Vec::new();
    for repair in &summary.repairs {
        let mine = found
            .records
            .iter()
            .filter(|record| record.condition == repair.condition && record.repair == repair.repair);
        let mut mine: Vec<&StudyRecord> = mine.collect();
        mine.sort_by_key(|record| record.chip);
        for record in &mine {
            table.rows.push(vec![
                Cell::text(&repair.label),
                Cell::text(repair.repair.to_string()),
                Cell::Number(record.chip as f64),
                Cell::Number(record.accuracy),
            ]);
        }
        let accuracies: Vec<f64> = mine.iter().map(|record| record.accuracy).collect();
        let at = quantiles(&accuracies, &[0.0, 0.25, 0.5, 0.75, 1.0])?;
        rows.push(Spread {
            label: repair.repair.to_string(),
            group: found.label(repair).to_owned(),
            values: mine.iter().map(|record| (record.accuracy, format!("chip {}", record.chip))).collect(),
            distribution: Some(Distribution {
                min: at[0],
                lower: at[1],
                median: at[2],
                upper: at[3],
                max: at[4],
            }),
            mean: repair.accuracy.mean,
            interval: repair.accuracy.interval,
        });
    }
    let golden = summary.golden_accuracy;
    let alt = rows.iter().map(|row| format!("{} {}", row.label, Format::Share.text(row.mean)));
    Ok(Figure {
        id: "chips".to_owned(),
        title: "Accuracy of every chip, without and with each repair".to_owned(),
        caption: "All repairs are tried on the same chips. Retraining, other chip: a network retrained on one chip, measured on the next."
            .to_owned(),
        alt: format!(
            "Dots of the test accuracy of each chip. Means: {}; golden network {}.",
            alt.collect::<Vec<_>>().join(", "),
            Format::Share.text(golden)
        ),
        chart: Chart::Dots(Dots {
            x: Axis::share("test accuracy"),
            rows,
            unit: "chip".to_owned(),
            reference: Some((golden, "golden network".to_owned())),
        }),
        table,
    })
}

/// How much of what is lost each repair gains back.
fn recovered(found: &Found, summary: &StudySummary) -> Option<Figure> {
    let mut table = Table::new(&[
        ("condition", None),
        ("repair", None),
        ("recovered", Some(Format::Share)),
        ("95 % interval", Some(Format::Share)),
    ]);
    let mut rows = Vec::new();
    for repair in summary.repairs.iter().filter(|repair| repair.repair != Repair::Nothing) {
        let Some(ratio) = repair.recovered else { continue };
        table.rows.push(vec![
            Cell::text(&repair.label),
            Cell::text(repair.repair.to_string()),
            Cell::Number(ratio.ratio),
            Cell::interval(ratio.interval),
        ]);
        rows.push(Spread {
            label: repair.repair.to_string(),
            group: found.label(repair).to_owned(),
            values: Vec::new(),
            distribution: None,
            mean: ratio.ratio,
            interval: ratio.interval,
        });
    }
    let alt = rows.iter().map(|row| format!("{} {}", row.label, Format::Share.text(row.mean)));
    let alt = format!("Recovered shares: {}.", alt.collect::<Vec<_>>().join(", "));
    let (low, high) = rows
        .iter()
        .fold((0.0, 1.0f64), |(low, high): (f64, f64), row| (low.min(row.mean), high.max(row.mean)));
    let span = high - low;
    (!rows.is_empty()).then(|| Figure {
        id: "recovered".to_owned(),
        title: "Share of the lost accuracy that repairs gain back".to_owned(),
        caption: "Σ (accuracy − stricken) / Σ (golden − stricken) over the chips, with the interval of a ratio of means; 1 is the golden accuracy. \
                  Intervals are cut at the picture's edge where little is lost and the share is hardly known."
            .to_owned(),
        alt,
        chart: Chart::Dots(Dots {
            x: Axis {
                title: "share recovered".to_owned(),
                scale: Scale::Linear,
                format: Format::Share,
                // A share of next to nothing may be anything: it must not squeeze the others.
                limits: Some((low - 0.5 * span, high + 0.5 * span)),
            },
            rows,
            unit: "chip".to_owned(),
            reference: Some((1.0, "all of it".to_owned())),
        }),
        table,
    })
}

/// Test accuracy over the epochs on chips, a figure for each condition.
fn epochs(found: &Found) -> Vec<Figure> {
    let with_epochs = found.histories.iter().enumerate().filter(|(_, histories)| !histories.is_empty());
    with_epochs.map(|(condition, histories)| epochs_of(found, condition, histories)).collect()
}

fn epochs_of(found: &Found, condition: usize, histories: &[(u64, Vec<EpochRecord>)]) -> Figure {
    let stricken = |chip: u64| {
        let is_it = |record: &&StudyRecord| {
            (record.condition, record.chip, record.repair) == (condition, chip, Repair::Nothing)
        };
        found.records.iter().find(is_it).map_or(f64::NAN, |record| record.accuracy)
    };
    let curves: Vec<Vec<f64>> = histories
        .iter()
        .map(|(chip, history)| {
            std::iter::once(stricken(*chip))
                .chain(history.iter().map(|record| record.test_accuracy))
                .collect()
        })
        .collect();
    let (points, table) = mean_and_range(&curves);
    let best = points.iter().filter(|point| point.y.is_finite()).max_by(|a, b| a.y.total_cmp(&b.y));
    let best = best.map(|point| point.x);
    let markers = best.map(|x| Marker { x, label: "best epoch of the mean".to_owned(), is_result: true });
    let golden = found.summary.as_ref().map(|summary| summary.golden_accuracy);
    let title = match found.conditions[condition].label.as_str() {
        "" => "Test accuracy over epochs of retraining".to_owned(),
        label => format!("Test accuracy over epochs of retraining: {label}"),
    };
    Figure {
        id: format!("retraining-{}", condition + 1),
        title,
        caption: format!(
            "Mean and range of {}, before the first epoch and after each.",
            counted(histories.len() as u64, "chip", "chips")
        ),
        alt: format!(
            "A line of the mean accuracy over chips, with their range, over {}; best at epoch {}.",
            counted(points.len().saturating_sub(1) as u64, "epoch", "epochs"),
            best.map_or("none".to_owned(), |epoch| Format::Count.text(epoch))
        ),
        chart: Chart::Lines(Lines {
            x: Axis { title: "epoch".to_owned(), scale: Scale::Linear, format: Format::Count, limits: None },
            y: Axis::share("test accuracy"),
            lines: vec![Line { label: "mean over chips".to_owned(), points, band: Band::Range }],
            markers: markers.into_iter().collect(),
            reference: golden.map(|golden| (golden, "golden network".to_owned())),
            dots: false,
        }),
        table,
    }
}

/// The mean of curves and the range of all, as far as any goes.
fn mean_and_range(curves: &[Vec<f64>]) -> (Vec<Point>, Table) {
    let mut table = Table::new(&[
        ("epoch", Some(Format::Count)),
        ("chips", Some(Format::Count)),
        ("mean accuracy", Some(Format::Share)),
        ("range", Some(Format::Share)),
    ]);
    let mut points = Vec::new();
    for epoch in 0..curves.iter().map(Vec::len).max().unwrap_or(0) {
        let known: Vec<f64> =
            curves.iter().filter_map(|curve| curve.get(epoch).copied()).filter(|x| x.is_finite()).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let low = known.iter().copied().fold(f64::INFINITY, f64::min);
        let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let band = (!known.is_empty()).then_some((low, high));
        points.push(Point { x: epoch as f64, y: mean, band });
        table.rows.push(vec![
            Cell::Number(epoch as f64),
            Cell::Number(known.len() as f64),
            Cell::Number(mean),
            Cell::interval(band),
        ]);
    }
    (points, table)
}

fn method(found: &Found) -> Section {
    let tolerance = found.spec.chips.tolerance;
    let paragraphs = vec![
        "One network is trained without hardware: the golden one. It goes on chips, each drawn from its seed, and is repaired on each of them; every \
         repair starts from the golden network on the chip. Accuracies are of all test images; after retraining, of the best epoch."
            .to_owned(),
        "Intervals of accuracies are Student's t intervals over chips (Student, Biometrika 6, 1908): all chips share one test set, whose own sampling \
         is not in them."
            .to_owned(),
        "Recovered is a ratio of means over the same chips, Σ (accuracy − stricken) / Σ (golden − stricken), with the interval of Cochran, Sampling \
         Techniques, 3rd ed., 1977, §2.11. Lost, (golden − accuracy) / golden, and recovered are the ResRate and AdjRate of ACIMS (Electronics, 2022) \
         over chips."
            .to_owned(),
        format!(
            "A chip is good if it loses at most {tolerance} of accuracy; the interval of the share of good chips is Clopper and Pearson's \
             (Biometrika 26, 1934)."
        ),
    ];
    methods(paragraphs, "The study", found.text.clone(), "temper run study.toml -o DIR")
}
