//! What colours and dashes mean, above the data.

use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, fitted, width};
use super::{SMALL, palette};

/// How something is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    /// A line, dashed so.
    Line(RGBColor, Option<(f64, f64)>),
    /// An area of a line's colour.
    Band(RGBColor),
    /// A dot.
    Dot(RGBColor),
    /// A filled square.
    Square(RGBColor),
    /// A box with its median.
    Box,
    /// A vertical line, dashed so.
    Upright(RGBColor, (f64, f64)),
}

/// Room for a sign.
const SIGN: f64 = 22.0;
const LINE_HEIGHT: f64 = 20.0;
const GAP: f64 = 18.0;

/// The entries with their places: x and line.
pub(super) struct Legend {
    entries: Vec<(f64, usize, Sign, String)>,
    lines: usize,
}

impl Legend {
    /// Entries set side by side in so much room, on as many lines as it takes.
    pub(super) fn new(entries: Vec<(Sign, String)>, room: f64) -> Self {
        let (mut x, mut line) = (0.0, 0);
        let mut placed = Vec::new();
        for (sign, text) in entries {
            let text = fitted(&text, SMALL, room - SIGN - 6.0);
            let wide = SIGN + 6.0 + width(&text, SMALL);
            if x > 0.0 && x + wide > room {
                (x, line) = (0.0, line + 1);
            }
            placed.push((x, line, sign, text));
            x += wide + GAP;
        }
        let lines = if placed.is_empty() { 0 } else { line + 1 };
        Self { entries: placed, lines }
    }

    /// In pixels, with the room below it.
    pub(super) fn height(&self) -> f64 {
        if self.lines == 0 { 0.0 } else { self.lines as f64 * LINE_HEIGHT + 10.0 }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, (left, top): (f64, f64)) {
        for (x, line, sign, text) in &self.entries {
            let (x, y) = (left + x, top + (*line as f64 + 0.5) * LINE_HEIGHT);
            let across = [(x, y), (x + SIGN, y)];
            match *sign {
                Sign::Line(color, None) => canvas.line(across, color, 2.0),
                Sign::Line(color, Some(dash)) => canvas.dashed(across, color, 2.0, dash),
                Sign::Band(color) => {
                    let corners = [(x, y - 5.0), (x + SIGN, y - 5.0), (x + SIGN, y + 5.0), (x, y + 5.0)];
                    canvas.polygon(corners, color, 0.18);
                }
                Sign::Dot(color) => canvas.dot((x + SIGN / 2.0, y), 3.5, color, 0.6),
                Sign::Square(color) => canvas.rectangle((x + 5.0, y - 6.0), (x + 17.0, y + 6.0), color),
                Sign::Box => {
                    canvas.rectangle((x + 2.0, y - 6.0), (x + SIGN - 2.0, y + 6.0), palette::GRID);
                    canvas.line([(x + 11.0, y - 6.0), (x + 11.0, y + 6.0)], palette::INK, 1.5);
                }
                Sign::Upright(color, dash) => {
                    canvas.dashed([(x + 11.0, y - 8.0), (x + 11.0, y + 8.0)], color, 1.5, dash);
                }
            }
            canvas.text((x + SIGN + 6.0, y), Anchor::Start, SMALL, palette::MUTED, text);
        }
    }
}
