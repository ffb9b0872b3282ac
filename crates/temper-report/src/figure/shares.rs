//! Bars divided into shares of a whole.

use super::axis::Ruler;
use super::canvas::svg;
use super::legend::{Legend, Sign};
use super::plane::{BELOW, Edges, Plane, top_room};
use super::rows::Rows;
use super::{Width, palette};
use crate::chart::{Axis, Shares};
use crate::number::percent;

const MARGIN: f64 = 22.0;

pub(super) fn draw(chart: &Shares, width: Width, label: &str) -> Result<String, String> {
    let wide = width.pixels();
    let rows = Rows::new(chart.rows.iter().map(|row| row.label.as_str()), width, 26.0);
    let colors = [palette::STEPS[2], palette::SERIES[1], palette::SERIES[3], palette::SERIES[0]];
    let color = |part: usize| colors[part % colors.len()];
    let entries = chart.parts.iter().enumerate();
    let legend =
        Legend::new(entries.map(|(i, part)| (Sign::Square(color(i)), part.clone())).collect(), wide - 8.0);
    let axis = Axis::share(&chart.title);
    let x = Ruler::new(&axis, [0.0, 1.0].into_iter(), 5);
    let height = rows.height(chart.rows.iter().map(|row| row.group.as_str()));
    let top = legend.height() + 4.0 + top_room(height);
    let bottom = top + height + 6.0;
    let edges = Edges { left: rows.left, right: wide - MARGIN, top, bottom };
    svg((wide, bottom + BELOW), label, |canvas| {
        legend.draw(canvas, (4.0, 0.0));
        let plane = Plane::new(&x, &x, edges);
        plane.draw_x(canvas, &chart.title, true);
        if top_room(height) > 0.0 {
            plane.label_top(canvas);
        }
        let names = chart.rows.iter().map(|row| (row.group.as_str(), row.label.as_str()));
        rows.draw(canvas, (top + 3.0, edges.right), names, |canvas, i, middle| {
            let row = &chart.rows[i];
            let mut begin = 0.0;
            let finite = row.shares.iter().enumerate().filter(|(_, share)| share.is_finite());
            for (part, share) in finite.filter(|(_, share)| **share > 0.0) {
                let (Some(from), Some(to)) = (plane.across(begin), plane.across(begin + share)) else {
                    continue;
                };
                begin += share;
                canvas.rectangle((from, middle - 9.0), (to, middle + 9.0), color(part));
                let text = format!("{}, {}: {}", row.label, chart.parts[part], percent(*share, 3));
                canvas.mark((f64::midpoint(from, to), middle), 8.0, text);
            }
        });
    })
}
