//! Charts as SVG, by Plotters.
//!
//! Every figure is drawn twice: wide, and narrow for small screens, with text of the same size.

mod axis;
mod canvas;
mod dots;
mod heat;
mod legend;
mod lines;
mod palette;
mod plane;
mod rows;
mod shares;

pub(crate) use canvas::escape;

use crate::chart::Chart;
use crate::error::ReportError;
use crate::report::Figure;

/// How wide a figure is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 860 pixels, for pages and papers.
    Wide,
    /// 360 pixels, for a telephone or a column.
    Narrow,
}

impl Width {
    /// In pixels.
    fn pixels(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 360.0,
        }
    }

    fn is_narrow(self) -> bool {
        self == Self::Narrow
    }
}

/// Size of all text but notes, in pixels.
const TEXT: f64 = 13.0;
/// Size of what stands at ticks.
const SMALL: f64 = 12.0;

/// Draws a figure as a whole SVG document. Points that tell their values are circles of class `mark`, each with a `<title>`.
///
/// # Errors
/// When the drawing library fails, which no data should make it do.
pub fn draw(figure: &Figure, width: Width) -> Result<String, ReportError> {
    let label = &figure.alt;
    let drawn = match &figure.chart {
        Chart::Lines(lines) => lines::draw(lines, width, label),
        Chart::Dots(dots) => dots::draw(dots, width, label),
        Chart::Shares(shares) => shares::draw(shares, width, label),
        Chart::Heat(heat) => heat::draw(heat, width, label),
    };
    drawn.map_err(|reason| ReportError::Draw { figure: figure.id.clone(), reason })
}
