//! The colours of all figures: a fixed set, which the page's style sheet maps to those of its light and dark schemes.

use plotters::style::RGBColor;

/// Text and what is measured.
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
/// Text beside the data, and what data is compared with.
pub(super) const MUTED: RGBColor = RGBColor(0x5e, 0x66, 0x70);
/// Axes.
pub(super) const AXIS: RGBColor = RGBColor(0x9a, 0xa1, 0xa9);
/// Lines of the grid, and boxes behind dots.
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xea);
/// What figures are drawn on.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Colours of Okabe and Ito's palette (*Color Universal Design*, 2008), told apart by all kinds of colour vision; without yellow and black, which
/// vanish on white and on black.
pub(super) const SERIES: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// Steps from nothing to most: one hue, so that lightness alone tells them apart.
pub(super) const STEPS: [RGBColor; 8] = [
    RGBColor(0xf2, 0xf6, 0xfa),
    RGBColor(0xdc, 0xe9, 0xf4),
    RGBColor(0xbd, 0xd8, 0xec),
    RGBColor(0x93, 0xc1, 0xe0),
    RGBColor(0x60, 0xa5, 0xd0),
    RGBColor(0x2f, 0x86, 0xbd),
    RGBColor(0x0f, 0x66, 0xa0),
    RGBColor(0x08, 0x45, 0x78),
];
