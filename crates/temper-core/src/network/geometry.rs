//! Extents, strides and paddings in two dimensions, with the short forms PyTorch allows.

use serde::{Deserialize, Serialize};

/// A height and a width, written `[height, width]`, or as one number for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "PairForm", into = "[usize; 2]")]
pub struct Pair {
    /// Along the second-last dimension.
    pub height: usize,
    /// Along the last dimension.
    pub width: usize,
}

impl Pair {
    /// The same extent in both directions.
    pub const fn square(extent: usize) -> Self {
        Self { height: extent, width: extent }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, or [height, width]")]
enum PairForm {
    Square(usize),
    Pair([usize; 2]),
}

impl From<PairForm> for Pair {
    fn from(form: PairForm) -> Self {
        match form {
            PairForm::Square(extent) => Self::square(extent),
            PairForm::Pair([height, width]) => Self { height, width },
        }
    }
}

impl From<Pair> for [usize; 2] {
    fn from(pair: Pair) -> Self {
        [pair.height, pair.width]
    }
}

/// Rows and columns added around an image, written `[top, left, bottom, right]`, as `[vertical, horizontal]`, or as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "PaddingForm", into = "[usize; 4]")]
pub struct Padding2d {
    /// Rows above.
    pub top: usize,
    /// Columns before.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns after.
    pub right: usize,
}

impl Padding2d {
    /// No padding.
    pub const NONE: Self = Self::uniform(0);

    /// The same padding on all four sides.
    pub const fn uniform(extent: usize) -> Self {
        Self { top: extent, left: extent, bottom: extent, right: extent }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number, [vertical, horizontal], or [top, left, bottom, right]")]
enum PaddingForm {
    Uniform(usize),
    Symmetric([usize; 2]),
    Sides([usize; 4]),
}

impl From<PaddingForm> for Padding2d {
    fn from(form: PaddingForm) -> Self {
        match form {
            PaddingForm::Uniform(extent) => Self::uniform(extent),
            PaddingForm::Symmetric([v, h]) => Self { top: v, left: h, bottom: v, right: h },
            PaddingForm::Sides([top, left, bottom, right]) => Self { top, left, bottom, right },
        }
    }
}

impl From<Padding2d> for [usize; 4] {
    fn from(p: Padding2d) -> Self {
        [p.top, p.left, p.bottom, p.right]
    }
}
