//! A study in pictures: what repairs are worth chip by chip, and the epochs on chips.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use temper_train::study::{Repair, StudyCondition, StudyRecord, StudySummary};
use temper_train::training::EpochRecord;

/// Colours of the Okabe–Ito palette, told apart by all kinds of colour vision.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);

const WIDTH: u32 = 900;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a panel for each condition into one picture.
fn panels(
    height: u32,
    conditions: &[StudyCondition],
    draw: impl Fn(usize, &Panel<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let size = (WIDTH, height * conditions.len() as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (condition, panel) in root.split_evenly((conditions.len(), 1)).iter().enumerate() {
            draw(condition, panel)?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// The accuracy of every chip without and with each repair, its mean over chips, and the golden accuracy; a panel for each condition.
pub(crate) fn accuracies(
    conditions: &[StudyCondition],
    summary: &StudySummary,
    records: &[StudyRecord],
) -> Result<String> {
    let mut kinds: Vec<Repair> = records.iter().map(|record| record.repair).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let rows = kinds.len();
    // The first one on top.
    let row = |repair: Repair| (rows - 1 - kinds.iter().position(|kind| *kind == repair).unwrap_or(0)) as f64;
    panels(78 + 26 * rows as u32, conditions, |condition, panel| {
        let mut chart = ChartBuilder::on(panel)
            .caption(&conditions[condition].label, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(44)
            .y_label_area_size(170)
            .build_cartesian_2d(0.0..1.0f64, -0.5..rows as f64 - 0.5)?;
        let name = |y: &f64| {
            let place = rows as f64 - 1.0 - y.round();
            kinds.get(place as usize).map_or(String::new(), ToString::to_string)
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_desc("test accuracy: dots are chips, ticks their means, the dashed line the golden network")
            .y_labels(rows)
            .y_label_formatter(&name)
            .x_label_formatter(&|accuracy| format!("{accuracy:.1}"))
            .label_style(("sans-serif", 14))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        let golden = summary.golden_accuracy;
        let line = [(golden, -0.5), (golden, rows as f64 - 0.5)];
        chart.draw_series(DashedLineSeries::new(line, 6, 4, ORANGE.stroke_width(2)))?;
        let mine = records.iter().filter(|record| record.condition == condition);
        chart.draw_series(
            mine.map(|record| Circle::new((record.accuracy, row(record.repair)), 4, BLUE.mix(0.35).filled())),
        )?;
        let means = summary.repairs.iter().filter(|repair| repair.condition == condition);
        let tick = |accuracy: f64, y: f64| vec![(accuracy, y - 0.32), (accuracy, y + 0.32)];
        chart.draw_series(means.map(|repair| {
            PathElement::new(tick(repair.accuracy.mean, row(repair.repair)), BLACK.stroke_width(2))
        }))?;
        Ok(())
    })
}

/// Test accuracy over the epochs: of the golden network, then on each chip from before its first epoch, and in the mean over chips; a panel
/// for each condition. `on_chips` has the histories of each condition's chips.
pub(crate) fn epochs(
    conditions: &[StudyCondition],
    golden: &[EpochRecord],
    records: &[StudyRecord],
    on_chips: &[Vec<(u64, Vec<EpochRecord>)>],
) -> Result<String> {
    let longest = on_chips.iter().flatten().map(|(_, history)| history.len()).max().unwrap_or(0);
    let start = golden.len();
    panels(230, conditions, |condition, panel| {
        let mut chart = ChartBuilder::on(panel)
            .caption(&conditions[condition].label, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..(start + longest) as f64, 0.0..1.0f64)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("test accuracy")
            .y_label_formatter(&|accuracy| format!("{accuracy:.1}"))
            .x_label_formatter(&|epoch| format!("{epoch:.0}"))
            .label_style(("sans-serif", 13))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        let trained = golden.iter().enumerate().map(|(i, record)| (i as f64 + 1.0, record.test_accuracy));
        chart
            .draw_series(LineSeries::new(trained, ORANGE.stroke_width(2)))?
            .label("golden network")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], ORANGE.stroke_width(2)));
        let curves: Vec<Vec<(f64, f64)>> = on_chips[condition]
            .iter()
            .map(|(chip, history)| {
                let accuracies = stricken(records, condition, *chip).into_iter();
                let accuracies = accuracies.chain(history.iter().map(|record| record.test_accuracy));
                accuracies.enumerate().map(|(i, accuracy)| ((start + i) as f64, accuracy)).collect()
            })
            .collect();
        for curve in &curves {
            chart.draw_series(LineSeries::new(curve.iter().copied(), BLUE.mix(0.25)))?;
        }
        let mean = |epoch: usize| {
            let found: Vec<f64> = curves.iter().filter_map(|curve| Some(curve.get(epoch)?.1)).collect();
            ((start + epoch) as f64, found.iter().sum::<f64>() / found.len() as f64)
        };
        let means = (0..curves.iter().map(Vec::len).max().unwrap_or(0)).map(mean);
        chart
            .draw_series(LineSeries::new(means, BLUE.stroke_width(2)))?
            .label("on chips: each, and their mean")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE.stroke_width(2)));
        let on_chip = [(start as f64, 0.0), (start as f64, 1.0)];
        chart.draw_series(DashedLineSeries::new(on_chip, 6, 4, BLACK.stroke_width(1)))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.2))
            .label_font(("sans-serif", 13))
            .draw()?;
        Ok(())
    })
}

/// The accuracy on a chip before any repair, if it is recorded.
fn stricken(records: &[StudyRecord], condition: usize, chip: u64) -> Option<f64> {
    let is_it = |record: &&StudyRecord| {
        (record.condition, record.chip, record.repair) == (condition, chip, Repair::Nothing)
    };
    Some(records.iter().find(is_it)?.accuracy)
}
