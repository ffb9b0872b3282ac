//! The commands.

pub(crate) mod data;
pub(crate) mod data_dir;
