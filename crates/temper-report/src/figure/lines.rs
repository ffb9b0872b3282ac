//! Lines over a numeric axis, with bands.

use plotters::style::RGBColor;

use super::axis::Ruler;
use super::canvas::{Canvas, svg};
use super::legend::{Legend, Sign};
use super::plane::{ABOVE, BELOW, Edges, Plane, label_room};
use super::{Width, palette};
use crate::chart::{Band, Line, Lines, Marker};

/// More bands than these hide each other.
const MOST_BANDS: usize = 4;
const DASH: (f64, f64) = (7.0, 4.0);
const DOTTED: (f64, f64) = (2.0, 4.0);
const MARGIN: f64 = 14.0;

pub(super) fn draw(chart: &Lines, width: Width, label: &str) -> Result<String, String> {
    let (wide, plane_height) = (width.pixels(), if width.is_narrow() { 230.0 } else { 300.0 });
    let ticks = if width.is_narrow() { (4, 5) } else { (8, 6) };
    let x = Ruler::new(&chart.x, xs(chart).into_iter(), ticks.0);
    let y = Ruler::new(&chart.y, ys(chart).into_iter(), ticks.1);
    let legend = Legend::new(entries(chart), wide - 8.0);
    let top = legend.height() + ABOVE;
    let edges = Edges { left: label_room(&y), right: wide - MARGIN, top, bottom: top + plane_height };
    svg((wide, edges.bottom + BELOW), label, |canvas| {
        legend.draw(canvas, (4.0, 0.0));
        let plane = Plane::new(&x, &y, edges);
        plane.draw_y(canvas, &chart.y.title);
        plane.draw_x(canvas, &chart.x.title, false);
        draw_markers(chart, &plane, canvas);
        if let Some((value, _)) = &chart.reference
            && let Some((_, y)) = plane.place(xs(chart).first().copied().unwrap_or(1.0), *value)
        {
            canvas.dashed([(edges.left, y), (edges.right, y)], palette::MUTED, 1.5, DASH);
        }
        if chart.lines.len() <= MOST_BANDS {
            for (i, line) in chart.lines.iter().enumerate() {
                draw_band(line, &plane, canvas, color(i));
            }
        }
        for (i, line) in chart.lines.iter().enumerate() {
            draw_line(line, i, chart, &plane, canvas);
        }
    })
}

/// The colour of a line.
fn color(number: usize) -> RGBColor {
    palette::SERIES[number % palette::SERIES.len()]
}

/// The dash of a line: when the colours are used up.
fn dash(number: usize) -> Option<(f64, f64)> {
    [None, Some((8.0, 4.0)), Some((2.5, 3.5))][(number / palette::SERIES.len()).min(2)]
}

fn xs(chart: &Lines) -> Vec<f64> {
    let points = chart.lines.iter().flat_map(|line| &line.points);
    let shown = points.filter(|point| point.y.is_finite());
    shown.map(|point| point.x).chain(chart.markers.iter().map(|marker| marker.x)).collect()
}

fn ys(chart: &Lines) -> Vec<f64> {
    let bands = chart.lines.len() <= MOST_BANDS;
    let points = chart.lines.iter().flat_map(|line| &line.points);
    let values = points.flat_map(|point| {
        let (low, high) = point.band.filter(|_| bands).unwrap_or((point.y, point.y));
        [point.y, low, high]
    });
    values.chain(chart.reference.iter().map(|(value, _)| *value)).collect()
}

fn entries(chart: &Lines) -> Vec<(Sign, String)> {
    let mut entries: Vec<(Sign, String)> = Vec::new();
    for (i, line) in chart.lines.iter().enumerate().filter(|(_, line)| !line.label.is_empty()) {
        entries.push((Sign::Line(color(i), dash(i)), line.label.clone()));
    }
    if chart.lines.len() <= MOST_BANDS {
        let first = chart
            .lines
            .iter()
            .position(|line| line.band != Band::None && line.points.iter().any(|point| point.band.is_some()));
        if let Some(first) = first {
            let what = match chart.lines[first].band {
                Band::Range => "lowest to highest",
                Band::Interval | Band::None => "confidence interval",
            };
            entries.push((Sign::Band(color(first)), what.to_owned()));
        }
    }
    if let Some((_, what)) = &chart.reference {
        entries.push((Sign::Line(palette::MUTED, Some(DASH)), what.clone()));
    }
    for marker in chart.markers.iter().filter(|marker| !marker.label.is_empty()) {
        let entry = (sign(marker), marker.label.clone());
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

fn sign(marker: &Marker) -> Sign {
    if marker.is_result { Sign::Upright(palette::INK, DOTTED) } else { Sign::Upright(palette::AXIS, DASH) }
}

fn draw_markers(chart: &Lines, plane: &Plane<'_>, canvas: &mut Canvas<'_>) {
    for marker in &chart.markers {
        let Some(x) = plane.across(marker.x) else { continue };
        let Sign::Upright(color, dash) = sign(marker) else { continue };
        canvas.dashed([(x, plane.edges.top), (x, plane.edges.bottom)], color, 1.5, dash);
    }
}

fn draw_band(line: &Line, plane: &Plane<'_>, canvas: &mut Canvas<'_>, color: RGBColor) {
    let bound = |of: fn((f64, f64)) -> f64| {
        let points = line.points.iter().filter(|point| point.y.is_finite());
        points
            .filter_map(|point| plane.place(point.x, of(point.band.unwrap_or((point.y, point.y)))))
            .collect::<Vec<_>>()
    };
    let (upper, lower) = (bound(|(_, high)| high), bound(|(low, _)| low));
    if upper.len() > 1 {
        canvas.polygon(upper.into_iter().chain(lower.into_iter().rev()), color, 0.16);
    } else if let (Some(from), Some(to)) = (upper.first(), lower.first()) {
        canvas.line([*from, *to], color, 1.5);
    }
}

fn draw_line(line: &Line, number: usize, chart: &Lines, plane: &Plane<'_>, canvas: &mut Canvas<'_>) {
    let color = color(number);
    // Where a value is missing the line is broken.
    for piece in line.points.split(|point| plane.place(point.x, point.y).is_none()) {
        let places: Vec<_> = piece.iter().filter_map(|point| plane.place(point.x, point.y)).collect();
        match dash(number) {
            _ if places.len() < 2 => {}
            None => canvas.line(places.iter().copied(), color, 2.0),
            Some(dash) => canvas.dashed(places.iter().copied(), color, 2.0, dash),
        }
        if chart.dots || places.len() == 1 {
            for place in &places {
                canvas.dot(*place, 3.2, color, 1.0);
            }
        }
    }
    let name = if line.label.is_empty() { String::new() } else { format!("{}: ", line.label) };
    for point in &line.points {
        let Some(place) = plane.place(point.x, point.y) else { continue };
        let mut text = format!(
            "{name}{} at {} = {}",
            chart.y.format.text(point.y),
            chart.x.title,
            chart.x.format.text(point.x)
        );
        if let Some((low, high)) = point.band {
            text = format!("{text} ({} to {})", chart.y.format.text(low), chart.y.format.text(high));
        }
        canvas.mark(place, 7.0, text);
    }
}
