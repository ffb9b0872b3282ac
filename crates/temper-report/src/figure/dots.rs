//! Groups of values in rows: swarms of dots over boxes, or means with intervals.

use super::axis::Ruler;
use super::canvas::{Canvas, svg};
use super::legend::{Legend, Sign};
use super::plane::{BELOW, Edges, Plane, top_room};
use super::rows::Rows;
use super::{Width, palette};
use crate::chart::{Dots, Spread};

const RADIUS: f64 = 3.2;
const DASH: (f64, f64) = (7.0, 4.0);
const MARGIN: f64 = 16.0;

pub(super) fn draw(chart: &Dots, width: Width, label: &str) -> Result<String, String> {
    let wide = width.pixels();
    let swarm = chart.rows.iter().any(|row| !row.values.is_empty());
    let rows =
        Rows::new(chart.rows.iter().map(|row| row.label.as_str()), width, if swarm { 36.0 } else { 26.0 });
    let values = chart.rows.iter().flat_map(|row| {
        let ends = row.distribution.map_or([row.mean; 2], |all| [all.min, all.max]);
        let (low, high) = row.interval.unwrap_or((row.mean, row.mean));
        row.values.iter().map(|(value, _)| *value).chain(ends).chain([row.mean, low, high])
    });
    let values: Vec<f64> = values.chain(chart.reference.iter().map(|(value, _)| *value)).collect();
    let x = Ruler::new(&chart.x, values.into_iter(), if width.is_narrow() { 4 } else { 7 });
    let legend = Legend::new(entries(chart, swarm), wide - 8.0);
    let height = rows.height(chart.rows.iter().map(|row| row.group.as_str()));
    let top = legend.height() + 4.0 + top_room(height);
    let edges = Edges { left: rows.left, right: wide - MARGIN, top, bottom: top + height + 6.0 };
    let upright = Ruler::new(&chart.x, [0.0, 1.0].into_iter(), 2);
    svg((wide, edges.bottom + BELOW), label, |canvas| {
        legend.draw(canvas, (4.0, 0.0));
        let plane = Plane::new(&x, &upright, edges);
        plane.draw_x(canvas, &chart.x.title, true);
        if top_room(height) > 0.0 {
            plane.label_top(canvas);
        }
        if let Some((value, _)) = &chart.reference
            && let Some(x) = plane.across(*value)
        {
            canvas.dashed([(x, edges.top), (x, edges.bottom)], palette::MUTED, 1.5, DASH);
        }
        let names = chart.rows.iter().map(|row| (row.group.as_str(), row.label.as_str()));
        rows.draw(canvas, (edges.top + 3.0, edges.right), names, |canvas, i, middle| {
            draw_row(&chart.rows[i], middle, chart, &plane, canvas);
        });
    })
}

fn entries(chart: &Dots, swarm: bool) -> Vec<(Sign, String)> {
    let blue = palette::SERIES[0];
    let mut entries = Vec::new();
    if swarm {
        entries.push((Sign::Dot(blue), format!("a {}", chart.unit)));
        if chart.rows.iter().any(|row| row.distribution.is_some()) {
            entries.push((Sign::Box, "middle half and median".to_owned()));
        }
    } else {
        entries.push((Sign::Dot(blue), "mean".to_owned()));
        if chart.rows.iter().any(|row| row.interval.is_some()) {
            entries.push((Sign::Line(blue, None), "confidence interval".to_owned()));
        }
    }
    if let Some((_, what)) = &chart.reference {
        entries.push((Sign::Line(palette::MUTED, Some(DASH)), what.clone()));
    }
    entries
}

fn draw_row(row: &Spread, middle: f64, chart: &Dots, plane: &Plane<'_>, canvas: &mut Canvas<'_>) {
    let blue = palette::SERIES[0];
    let format = chart.x.format;
    let at = |value: f64| plane.across(value);
    if let Some(all) = row.distribution
        && let (Some(min), Some(lower), Some(median), Some(upper), Some(max)) =
            (at(all.min), at(all.lower), at(all.median), at(all.upper), at(all.max))
    {
        canvas.line([(min, middle), (max, middle)], palette::AXIS, 1.0);
        canvas.rectangle((lower, middle - 12.0), (upper, middle + 12.0), palette::GRID);
        for (place, value) in swarm(row, at) {
            canvas.dot((place.0, middle + place.1), RADIUS, blue, 0.6);
            canvas.mark((place.0, middle + place.1), 5.0, format!("{}: {}", value.1, format.text(value.0)));
        }
        canvas.line([(median, middle - 13.0), (median, middle + 13.0)], palette::INK, 2.0);
        return;
    }
    let Some(mean) = at(row.mean) else { return };
    let mut text = format!("{}: {}", row.label, format.text(row.mean));
    if let Some((low, high)) = row.interval
        && let (Some(from), Some(to)) = (at(low), at(high))
    {
        canvas.line([(from, middle), (to, middle)], blue, 2.0);
        for end in [from, to] {
            canvas.line([(end, middle - 5.0), (end, middle + 5.0)], blue, 2.0);
        }
        text = format!("{text} ({} to {})", format.text(low), format.text(high));
    }
    canvas.dot((mean, middle), 4.5, blue, 1.0);
    canvas.mark((mean, middle), 9.0, text);
}

/// The place of a dot, down from its row's middle, and its value.
type Dot<'a> = ((f64, f64), &'a (f64, String));

/// Places of the dots around their row's middle: one beside another, above and below where they would overlap.
fn swarm(row: &Spread, at: impl Fn(f64) -> Option<f64>) -> Vec<Dot<'_>> {
    const LANES: [f64; 7] = [0.0, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0];
    let mut placed: Vec<(f64, &(f64, String))> =
        row.values.iter().filter_map(|value| Some((at(value.0)?, value))).collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut taken = [f64::NEG_INFINITY; LANES.len()];
    let mut crowded = 0;
    placed
        .into_iter()
        .map(|(x, value)| {
            let free = (0..LANES.len()).find(|&lane| x - taken[lane] >= 1.7 * RADIUS);
            // Where all are taken dots lie on each other, spread evenly.
            let lane = free.unwrap_or_else(|| {
                crowded += 1;
                crowded % LANES.len()
            });
            taken[lane] = x;
            ((x, LANES[lane] * 1.25 * RADIUS), value)
        })
        .collect()
}
