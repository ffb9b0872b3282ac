//! Rows with names: at their left, or above them where there is little room.

use super::canvas::{Anchor, Canvas, fitted, width};
use super::{SMALL, TEXT, Width, palette};

/// Where rows and their names stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rows {
    narrow: bool,
    /// Where what is drawn begins.
    pub(super) left: f64,
    /// Height of what is drawn of a row.
    height: f64,
}

/// Room for a name above a row.
const NAME: f64 = 18.0;
/// Room for the heading of several rows.
const HEADING: f64 = 26.0;

impl Rows {
    /// Rows of so much height with these names.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>, width_of: Width, height: f64) -> Self {
        let narrow = width_of.is_narrow();
        let longest = names.map(|name| width(name, TEXT)).fold(0.0, f64::max);
        let left = if narrow { 14.0 } else { (longest + 20.0).clamp(60.0, 0.36 * width_of.pixels()) };
        Self { narrow, left, height }
    }

    /// What a row takes.
    fn step(&self) -> f64 {
        self.height + if self.narrow { NAME } else { 0.0 }
    }

    /// What rows with these groups take, headings included.
    pub(super) fn height<'a>(&self, groups: impl Iterator<Item = &'a str>) -> f64 {
        let (mut height, mut last) = (0.0, "");
        for group in groups {
            height += self.step() + if group.is_empty() || group == last { 0.0 } else { HEADING };
            last = group;
        }
        height
    }

    /// Writes rows' names, and headings above their groups; hands each row the height of its middle.
    pub(super) fn draw<'a>(
        &self,
        canvas: &mut Canvas<'_>,
        (top, right): (f64, f64),
        rows: impl Iterator<Item = (&'a str, &'a str)>,
        mut row: impl FnMut(&mut Canvas<'_>, usize, f64),
    ) {
        let (mut y, mut last) = (top, "");
        for (i, (group, name)) in rows.enumerate() {
            if !group.is_empty() && group != last {
                let text = fitted(group, TEXT, right - 4.0);
                canvas.text((4.0, y + 0.6 * HEADING), Anchor::Start, TEXT, palette::MUTED, &text);
                y += HEADING;
            }
            last = group;
            let middle = self.draw_name(canvas, y, name, right);
            row(canvas, i, middle);
            y += self.step();
        }
    }

    /// Writes a row's name; returns the height of its middle.
    fn draw_name(&self, canvas: &mut Canvas<'_>, top: f64, name: &str, right: f64) -> f64 {
        if self.narrow {
            let name = fitted(name, SMALL, right - 4.0);
            canvas.text((4.0, top + 0.55 * NAME), Anchor::Start, SMALL, palette::INK, &name);
            top + NAME + self.height / 2.0
        } else {
            let name = fitted(name, TEXT, self.left - 14.0);
            let middle = top + self.height / 2.0;
            canvas.text((self.left - 10.0, middle), Anchor::End, TEXT, palette::INK, &name);
            middle
        }
    }
}
