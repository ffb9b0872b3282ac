//! What is shown and exported of a campaign's records.

pub(crate) mod experiment;
pub(crate) mod export;
pub(crate) mod images;
pub(crate) mod summary;
pub(crate) mod table;
