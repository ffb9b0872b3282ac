//! A plane with two axes, by Plotters' coordinates.

use plotters::coord::CoordTranslate;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;

use super::axis::{Ruler, Tick};
use super::canvas::{Anchor, Canvas, UNITS, fitted, width};
use super::{SMALL, palette};

/// The edges of the plane on the sheet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edges {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A plane: from values to places on the sheet.
pub(super) struct Plane<'a> {
    x: &'a Ruler,
    y: &'a Ruler,
    pub(super) edges: Edges,
    coordinates: Cartesian2d<RangedCoordf64, RangedCoordf64>,
}

impl<'a> Plane<'a> {
    pub(super) fn new(x: &'a Ruler, y: &'a Ruler, edges: Edges) -> Self {
        let unit = |pixels: f64| (pixels * UNITS).round() as i32;
        let sheet = (unit(edges.left)..unit(edges.right), unit(edges.bottom)..unit(edges.top));
        Self { x, y, edges, coordinates: Cartesian2d::new(x.low..x.high, y.low..y.high, sheet) }
    }

    /// Where a point lies; `None` if it has no place on an axis.
    pub(super) fn place(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some(self.at(self.x.place(x)?, self.y.place(y)?))
    }

    /// Where a point in the axes' own measures lies.
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = self.coordinates.translate(&(x, y));
        (f64::from(x) / UNITS, f64::from(y) / UNITS)
    }

    /// Where a value of the horizontal axis lies.
    pub(super) fn across(&self, x: f64) -> Option<f64> {
        Some(self.at(self.x.place(x)?, self.y.low).0)
    }

    /// Draws the horizontal axis below the plane: ticks, lines through the plane if wanted, and the title.
    pub(super) fn draw_x(&self, canvas: &mut Canvas<'_>, title: &str, lines: bool) {
        let Edges { left, right, top, bottom } = self.edges;
        let mut free = f64::NEG_INFINITY;
        for Tick { at, label } in &self.x.ticks {
            let x = self.at(*at, self.y.low).0;
            if lines {
                canvas.line([(x, top), (x, bottom)], palette::GRID, 1.0);
            }
            let half = width(label, SMALL) / 2.0;
            // A label that would touch the one before it is left out.
            if x - half < free {
                continue;
            }
            free = x + half + 6.0;
            canvas.line([(x, bottom), (x, bottom + 4.0)], palette::AXIS, 1.0);
            canvas.text((x, bottom + 14.0), Anchor::Middle, SMALL, palette::MUTED, label);
        }
        canvas.line([(left, bottom), (right, bottom)], palette::AXIS, 1.0);
        let title = fitted(title, SMALL, right - left);
        canvas.text((f64::midpoint(left, right), bottom + 34.0), Anchor::Middle, SMALL, palette::INK, &title);
    }

    /// Writes the horizontal axis's values above the plane too, where what is below is out of sight.
    pub(super) fn label_top(&self, canvas: &mut Canvas<'_>) {
        let mut free = f64::NEG_INFINITY;
        for Tick { at, label } in &self.x.ticks {
            let (x, half) = (self.at(*at, self.y.low).0, width(label, SMALL) / 2.0);
            if x - half >= free {
                free = x + half + 6.0;
                canvas.text((x, self.edges.top - 10.0), Anchor::Middle, SMALL, palette::MUTED, label);
            }
        }
    }

    /// Draws the vertical axis: lines through the plane, labels at their left, the title above them.
    pub(super) fn draw_y(&self, canvas: &mut Canvas<'_>, title: &str) {
        let Edges { left, right, top, .. } = self.edges;
        for Tick { at, label } in &self.y.ticks {
            let y = self.at(self.x.low, *at).1;
            canvas.line([(left, y), (right, y)], palette::GRID, 1.0);
            canvas.text((left - 8.0, y), Anchor::End, SMALL, palette::MUTED, label);
        }
        let title = fitted(title, SMALL, right - 4.0);
        canvas.text((4.0, top - 19.0), Anchor::Start, SMALL, palette::INK, &title);
    }
}

/// Room for what stands below a plane.
pub(super) const BELOW: f64 = 46.0;
/// Room for the title above a vertical axis.
pub(super) const ABOVE: f64 = 32.0;

/// Room for values above a plane of rows that is as high as this; none, if it is low.
pub(super) fn top_room(height: f64) -> f64 {
    if height > 560.0 { 20.0 } else { 0.0 }
}

/// Room that the labels of a vertical axis take.
pub(super) fn label_room(ruler: &Ruler) -> f64 {
    ruler.ticks.iter().map(|tick| width(&tick.label, SMALL)).fold(0.0, f64::max) + 16.0
}
