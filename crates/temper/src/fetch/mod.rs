//! Getting the files of a data set: download, check, unpack, put in place.
//!
//! A file appears at its path only when it is whole and has its checksum. Until then it lies beside it with the extension
//! `.part`, from which an interrupted download goes on.

mod download;
mod error;
mod unpack;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use temper_core::data::{CatalogEntry, Source, verify_file};
use ureq::Agent;

use download::{Download, download};
pub(crate) use error::FetchError;
use unpack::{Member, unpack};

/// How far the download of one file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress<'a> {
    /// Name of the file on the server.
    pub(crate) file: &'a str,
    /// Bytes that are here.
    pub(crate) done: u64,
    /// Bytes of the whole file.
    pub(crate) total: u64,
}

/// What was done for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fetched {
    /// The file.
    pub(crate) path: PathBuf,
    /// Whether it had to be fetched; else it was there with the right checksum.
    pub(crate) fetched: bool,
}

/// Gets the files of `entry` that are missing below `data_dir` or differ from their checksums.
///
/// `mirror` stands in for the address of the official server; the checksums stay the same. `progress` is called often.
///
/// # Errors
/// When the server, the network or the disk fails, or what arrives is not what it should be. What arrived before stays, unless
/// it is known to be wrong.
pub(crate) fn fetch(
    entry: &CatalogEntry,
    data_dir: &Path,
    mirror: Option<&str>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Fetched>, FetchError> {
    let outcomes: Vec<Fetched> = entry
        .files
        .iter()
        .map(|file| Fetched {
            path: data_dir.join(file.path),
            fetched: !verify_file(file, data_dir).status.is_ok(),
        })
        .collect();
    let wanted: Vec<_> = entry.files.iter().zip(&outcomes).filter(|(_, outcome)| outcome.fetched).collect();
    let agent = agent();
    match entry.source {
        _ if wanted.is_empty() => {}
        Source::Embedded => {}
        Source::Files { base_url } => {
            for (file, Fetched { path, .. }) in wanted {
                let name = file.path.rsplit('/').next().unwrap_or(file.path);
                let url = address(mirror.unwrap_or(base_url), name);
                let (total, checksum) = (file.bytes, file.checksum);
                let file = Download { url, target: path.clone(), bytes: total, checksum };
                download(&agent, &file, &mut |done| progress(Progress { file: name, done, total }))?;
            }
        }
        Source::Archive { base_url, name, bytes: total, checksum, folder } => {
            let archive = data_dir.join(folder).join(name);
            let whole = File::open(&archive).and_then(|file| checksum.algorithm.of(file));
            if whole.ok().as_deref() != Some(checksum.hex) {
                let url = address(mirror.unwrap_or(base_url), name);
                let file = Download { url, target: archive.clone(), bytes: total, checksum };
                download(&agent, &file, &mut |done| progress(Progress { file: name, done, total }))?;
            }
            let members = wanted.into_iter().map(|(file, Fetched { path, .. })| Member {
                name: file.path.strip_prefix(folder).unwrap_or(file.path),
                bytes: file.bytes,
                target: path,
            });
            unpack(&archive, members.collect())?;
            fs::remove_file(&archive).map_err(|source| FetchError::Disk { path: archive, source })?;
        }
    }
    Ok(outcomes)
}

fn address(base_url: &str, name: &str) -> String {
    format!("{}/{name}", base_url.trim_end_matches('/'))
}

/// Redirects are followed; a status that is not a success is for the caller to judge.
fn agent() -> Agent {
    let patience = Some(Duration::from_mins(1));
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(patience)
        .timeout_recv_response(patience)
        .timeout_per_read(patience)
        .build()
        .new_agent()
}
