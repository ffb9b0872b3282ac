//! What figures show: data for the eye, without pixels.

use crate::number::Format;

/// A chart. Values that are not finite are left out of the picture; the figure's table has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Lines over a numeric axis, with bands.
    Lines(Lines),
    /// A row of dots for each group.
    Dots(Dots),
    /// A bar for each row, divided into shares of a whole.
    Shares(Shares),
    /// A matrix of coloured cells.
    Heat(Heat),
}

/// A numeric axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub title: String,
    /// How values are spaced.
    pub scale: Scale,
    /// How values are written.
    pub format: Format,
    /// Bounds that values are cut at, such as 0 and 1 for an accuracy; none by default.
    pub limits: Option<(f64, f64)>,
}

/// How the values of an axis are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm, if they are positive; zero has a place of its own before them.
    Logarithmic,
}

impl Scale {
    /// Logarithmic for positive values (zero aside) that span a factor of 30 and more.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let positive = finite.clone().filter(|value| *value > 0.0);
        let (low, high) =
            positive.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), x| (low.min(x), high.max(x)));
        if high >= 30.0 * low && finite.clone().all(|value| value >= 0.0) {
            Self::Logarithmic
        } else {
            Self::Linear
        }
    }
}

impl Axis {
    /// An axis of a share between 0 and 1.
    pub(crate) fn share(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            scale: Scale::Linear,
            format: Format::Share,
            limits: Some((0.0, 1.0)),
        }
    }

    /// An axis of any numbers.
    pub(crate) fn plain(title: &str, scale: Scale) -> Self {
        Self { title: title.to_owned(), scale, format: Format::Plain, limits: None }
    }
}

/// Lines over a numeric axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, told apart by colour and dash: up to twelve.
    pub lines: Vec<Line>,
    /// Places on the horizontal axis.
    pub markers: Vec<Marker>,
    /// A horizontal line to compare with, and what it is.
    pub reference: Option<(f64, String)>,
    /// Whether every point has a dot: for few, measured points.
    pub dots: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is called; empty for a single one.
    pub label: String,
    /// Its points, from left to right.
    pub points: Vec<Point>,
    /// What its band is.
    pub band: Band,
}

/// What the band around a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// There is none.
    None,
    /// A confidence interval of the value.
    Interval,
    /// The range of all values.
    Range,
}

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// Bounds of the band there.
    pub band: Option<(f64, f64)>,
}

/// A place on the horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// Where.
    pub x: f64,
    /// What is there; equal ones share an entry of the legend.
    pub label: String,
    /// Whether it is one of the results, such as the best epoch, and not a division, such as a phase.
    pub is_result: bool,
}

/// Groups of values, one a row: dots, a box over them, or a mean with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Dots {
    /// The horizontal axis.
    pub x: Axis,
    /// The groups, from top to bottom.
    pub rows: Vec<Spread>,
    /// What a dot is: `chip`, `fault`.
    pub unit: String,
    /// A vertical line to compare with, and what it is.
    pub reference: Option<(f64, String)>,
}

/// A group of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// What it is called.
    pub label: String,
    /// A heading above it and those that follow with the same; empty for none.
    pub group: String,
    /// The values, or some of them, with what each is called.
    pub values: Vec<(f64, String)>,
    /// Quantiles of all values.
    pub distribution: Option<Distribution>,
    /// The mean.
    pub mean: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
}

/// Quantiles of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution {
    /// The smallest.
    pub min: f64,
    /// A quarter lies below it.
    pub lower: f64,
    /// Half lies below it.
    pub median: f64,
    /// A quarter lies above it.
    pub upper: f64,
    /// The largest.
    pub max: f64,
}

/// Bars divided into shares of a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// What the whole is.
    pub title: String,
    /// What the parts are called.
    pub parts: Vec<String>,
    /// The bars, from top to bottom.
    pub rows: Vec<SharesRow>,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct SharesRow {
    /// What it is called.
    pub label: String,
    /// A heading above it and those that follow with the same; empty for none.
    pub group: String,
    /// The shares of the parts, 0..=1.
    pub shares: Vec<f64>,
}

/// A matrix of coloured cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// What the columns are.
    pub x_title: String,
    /// What the rows are.
    pub y_title: String,
    /// What the colour means.
    pub value_title: String,
    /// The columns, from left to right.
    pub columns: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<String>,
    /// The values, row by row; NaN where there is none.
    pub values: Vec<f64>,
}
