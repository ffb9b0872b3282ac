//! Reports: from what Temper's commands leave in their directories to tables, pictures and a page.
//!
//! Data flows one way, through plain data in the middle:
//!
//! - [`read`] finds out what a directory holds (an experiment, a campaign, a training or a study) and makes a [`Report`] of it: sections of text, tables
//!   and figures, with neither pixels nor HTML in it. Nothing here runs a network;
//! - [`draw`] draws a [`Figure`]'s [`Chart`] as SVG;
//! - [`page`] makes one HTML page of a report, which needs no other file and no network;
//! - [`write()`] writes the page, every figure as SVG and PNG, and every table as CSV.
//!
//! Equal directories give equal bytes. `docs/report.md` explains every figure.

mod chart;
mod error;
mod export;
mod figure;
mod html;
mod number;
mod report;
mod source;
mod table;

pub use chart::{
    Axis, Band, Chart, Distribution, Dots, Heat, Line, Lines, Marker, Point, Scale, Shares, SharesRow, Spread,
};
pub use error::ReportError;
pub use export::{Written, write};
pub use figure::{Width, draw};
pub use html::page;
pub use number::Format;
pub use report::{Block, Code, Figure, KeyFigure, Report, Section, Text, Tone};
pub use source::experiment::{
    CampaignOutcome, ExperimentSummary, Gain, TrainingOutcome, VariantSummary, WorstCondition,
    read_experiment,
};
pub use source::{DirectoryKind, read};
pub use table::{Cell, Column, Table};
