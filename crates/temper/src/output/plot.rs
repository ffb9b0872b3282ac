//! Accuracy over a rate, as an SVG picture.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use temper_core::analysis::ConditionSummary;
use temper_core::campaign::{Swept, SweptValue};

/// A point of the curve: the rate, and the accuracy's mean, lower and upper bound.
struct Point {
    rate: f64,
    mean: f64,
    low: f64,
    high: f64,
}

/// Blue and orange of the Okabe–Ito palette, told apart by all kinds of colour vision.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);

/// Draws the accuracy's mean and interval over a swept rate on a logarithmic axis (a rate of zero is left out), with the golden
/// accuracy as a line; returns the SVG's text.
///
/// # Errors
/// When there is nothing to draw.
pub(crate) fn accuracy_over_rate(
    title: &str,
    golden: f64,
    conditions: &[ConditionSummary],
) -> Result<String> {
    let points: Vec<Point> = conditions.iter().filter_map(point).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err(anyhow!("there is no positive rate to draw"));
    };
    let x_range = (first.rate / 1.5..last.rate * 1.5).log_scale();
    let swept = conditions[0].condition.swept.first().ok_or_else(|| anyhow!("nothing was swept"))?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (760, 460)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 20))
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(x_range, 0.0..1.0f64)?;
        chart
            .configure_mesh()
            .x_desc(swept.axis.replace('_', " "))
            .y_desc("accuracy")
            .x_label_formatter(&|rate| format!("{rate:.0e}"))
            .y_label_formatter(&|accuracy| format!("{accuracy:.1}"))
            .label_style(("sans-serif", 14))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        let upper = points.iter().map(|point| (point.rate, point.high.min(1.0)));
        let lower = points.iter().rev().map(|point| (point.rate, point.low.max(0.0)));
        chart
            .draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), BLUE.mix(0.18))])?
            .label("95 % interval over draws")
            .legend(|(x, y)| Rectangle::new([(x, y - 5), (x + 20, y + 5)], BLUE.mix(0.18).filled()));
        chart
            .draw_series(LineSeries::new(
                points.iter().map(|point| (point.rate, point.mean)),
                BLUE.stroke_width(2),
            ))?
            .label("mean accuracy")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE.stroke_width(2)));
        chart.draw_series(
            points.iter().map(|point| Circle::new((point.rate, point.mean), 3, BLUE.filled())),
        )?;
        let ends = [(first.rate / 1.5, golden), (last.rate * 1.5, golden)];
        chart
            .draw_series(DashedLineSeries::new(ends, 6, 4, ORANGE.stroke_width(2)))?
            .label("without faults")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], ORANGE.stroke_width(2)));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.2))
            .label_font(("sans-serif", 14))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

fn point(summary: &ConditionSummary) -> Option<Point> {
    let [Swept { value: SweptValue::Real(rate), .. }] = *summary.condition.swept.as_slice() else {
        return None;
    };
    let accuracy = summary.accuracy?;
    let (low, high) = accuracy.interval.unwrap_or((accuracy.mean, accuracy.mean));
    (rate > 0.0).then_some(Point { rate, mean: accuracy.mean, low, high })
}
