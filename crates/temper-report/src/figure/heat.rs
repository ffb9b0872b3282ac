//! A matrix of coloured cells.

use super::canvas::{Anchor, Canvas, fitted, svg, width as width_of};
use super::{SMALL, TEXT, Width, palette};
use crate::chart::Heat;
use crate::number::Format;

const MARGIN: f64 = 14.0;
/// Room for the scale of colours.
const SCALE: f64 = 44.0;

pub(super) fn draw(chart: &Heat, width: Width, label: &str) -> Result<String, String> {
    let wide = width.pixels();
    let size = if width.is_narrow() { SMALL } else { TEXT };
    let longest = chart.rows.iter().map(|row| width_of(row, size)).fold(0.0, f64::max);
    let left = (longest + 14.0).clamp(24.0, 0.34 * wide);
    let cell = ((wide - MARGIN - left) / chart.columns.len().max(1) as f64).min(64.0);
    let row_height = if chart.rows.len() > 40 { 14.0 } else { 22.0 };
    let top = SCALE + 26.0;
    let bottom = top + row_height * chart.rows.len() as f64;
    let finite = chart.values.iter().copied().filter(|value| value.is_finite());
    let most = finite.fold(0.0, f64::max);
    svg((wide, bottom + 50.0), label, |canvas| {
        draw_scale(canvas, chart, most, wide);
        let title = fitted(&chart.y_title, SMALL, left + 60.0);
        canvas.text((4.0, top - 14.0), Anchor::Start, SMALL, palette::INK, &title);
        for (i, name) in chart.rows.iter().enumerate() {
            let (y, name) = (top + i as f64 * row_height, fitted(name, size, left - 12.0));
            canvas.text((left - 8.0, y + row_height / 2.0), Anchor::End, size, palette::INK, &name);
            for (j, column) in chart.columns.iter().enumerate() {
                let value = chart.values[i * chart.columns.len() + j];
                if !value.is_finite() {
                    continue;
                }
                let x = left + j as f64 * cell;
                canvas.rectangle((x, y), (x + cell - 1.0, y + row_height - 1.0), color(value, most));
                let text = format!(
                    "{} {}, {} {column}: {}",
                    chart.y_title,
                    chart.rows[i],
                    chart.x_title,
                    Format::Share.text(value)
                );
                canvas.mark((x + cell / 2.0, y + row_height / 2.0), (cell / 2.0).clamp(4.0, 10.0), text);
            }
        }
        let mut free = f64::NEG_INFINITY;
        for (j, column) in chart.columns.iter().enumerate() {
            let name = fitted(column, SMALL, (wide - left) / 3.0);
            let (x, half) = (left + (j as f64 + 0.5) * cell, width_of(&name, SMALL) / 2.0);
            if x - half >= free && x + half <= wide {
                free = x + half + 6.0;
                canvas.text((x, bottom + 12.0), Anchor::Middle, SMALL, palette::MUTED, &name);
            }
        }
        let middle = left + chart.columns.len() as f64 * cell / 2.0;
        canvas.text((middle, bottom + 34.0), Anchor::Middle, SMALL, palette::INK, &chart.x_title);
    })
}

fn color(value: f64, most: f64) -> plotters::style::RGBColor {
    let steps = palette::STEPS.len();
    let step = if most > 0.0 { (value / most * steps as f64).clamp(0.0, steps as f64 - 1.0) } else { 0.0 };
    palette::STEPS[step as usize]
}

/// What the colours mean, from nothing to most.
fn draw_scale(canvas: &mut Canvas<'_>, chart: &Heat, most: f64, wide: f64) {
    let title = fitted(&chart.value_title, SMALL, wide - 8.0);
    canvas.text((4.0, 10.0), Anchor::Start, SMALL, palette::INK, &title);
    let end = Format::Plain.text(most);
    canvas.text((4.0, 32.0), Anchor::Start, SMALL, palette::MUTED, "0");
    for (i, color) in palette::STEPS.into_iter().enumerate() {
        let x = 16.0 + 18.0 * i as f64;
        canvas.rectangle((x, 26.0), (x + 17.0, 38.0), color);
    }
    let x = 16.0 + 18.0 * palette::STEPS.len() as f64 + 4.0;
    canvas.text((x, 32.0), Anchor::Start, SMALL, palette::MUTED, &end);
}
