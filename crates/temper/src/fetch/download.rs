//! Downloading one file, going on where an earlier attempt broke off.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use temper_core::data::Checksum;
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::error::FetchError;

/// How often a transfer that breaks off is taken up again within one call.
const ATTEMPTS: u32 = 3;

/// A file to download.
#[derive(Debug)]
pub(super) struct Download {
    /// Where it is.
    pub(super) url: String,
    /// Where it shall be.
    pub(super) target: PathBuf,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// Its checksum.
    pub(super) checksum: Checksum,
}

/// Downloads `wanted` into its `.part` file, checks it, and moves it into place. `progress` is told the bytes that are here.
pub(super) fn download(
    agent: &Agent,
    wanted: &Download,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let path = part_of(&wanted.target);
    let disk = |source| FetchError::Disk { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(disk)?;
    }
    let mut part = open_alone(&path)?;
    let mut attempt = 1;
    while let Err(error) = fill(agent, wanted, &mut part, &path, progress) {
        if attempt == ATTEMPTS || !matches!(error, FetchError::Interrupted { .. }) {
            return Err(error);
        }
        attempt += 1;
    }
    part.sync_all().map_err(disk)?;
    part.rewind().map_err(disk)?;
    let Checksum { algorithm, hex: expected } = wanted.checksum;
    let found = algorithm.of(&part).map_err(disk)?;
    if found != expected {
        fs::remove_file(&path).map_err(disk)?;
        return Err(FetchError::Checksum { url: wanted.url.clone(), algorithm, found, expected });
    }
    fs::rename(&path, &wanted.target)
        .map_err(|source| FetchError::Disk { path: wanted.target.clone(), source })
}

/// Where a file lies until it is whole.
pub(super) fn part_of(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".part");
    name.into()
}

/// Opens a file, created if need be, that no other process is writing.
fn open_alone(path: &Path) -> Result<File, FetchError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|source| FetchError::Disk { path: path.to_owned(), source })?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy { path: path.to_owned() }),
        // Some network disks know no locks; two writers would then be found out by the checksum.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Fills `part` to the full size, starting from what it already holds.
fn fill(
    agent: &Agent,
    wanted: &Download,
    part: &mut File,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let disk = |source| FetchError::Disk { path: path.to_owned(), source };
    let here = part.metadata().map_err(disk)?.len();
    if here == wanted.bytes {
        return Ok(());
    }
    let (start, response) = respond(agent, wanted, if here < wanted.bytes { here } else { 0 })?;
    let mut body = response.into_body();
    if let Some(length) = body.content_length()
        && length.checked_add(start) != Some(wanted.bytes)
    {
        let found = length.saturating_add(start);
        return Err(FetchError::Size { url: wanted.url.clone(), found, expected: wanted.bytes });
    }
    part.set_len(start).map_err(disk)?;
    part.seek(SeekFrom::Start(start)).map_err(disk)?;
    let copied = copy(&mut body.as_reader(), part, start, wanted, path, progress);
    if let Err(FetchError::Size { .. }) = copied {
        part.set_len(0).map_err(disk)?;
    }
    copied
}

/// Asks for the bytes from `start` on; the answer may begin at 0 instead.
fn respond(agent: &Agent, wanted: &Download, start: u64) -> Result<(u64, Response<Body>), FetchError> {
    let url = &wanted.url;
    let mut request = agent.get(url);
    if start > 0 {
        request = request.header(header::RANGE, format!("bytes={start}-"));
    }
    let response = request
        .call()
        .map_err(|source| FetchError::Request { url: url.clone(), source: Box::new(source) })?;
    match response.status().as_u16() {
        200 => Ok((0, response)),
        206 if range_start(&response) == Some(start) => Ok((start, response)),
        // The server has no such range, or sends another one: take the whole.
        206 | 416 if start > 0 => respond(agent, wanted, 0),
        status => Err(FetchError::Status { url: url.clone(), status }),
    }
}

/// The first byte's place in an answer with the header `Content-Range: bytes FIRST-LAST/TOTAL`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// Copies a body whose first byte belongs at `start`, to the last byte of the file and not beyond.
pub(super) fn copy(
    body: &mut impl Read,
    file: &mut impl Write,
    start: u64,
    wanted: &Download,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let total = wanted.bytes;
    let mut done = start;
    let broken = |done, source| FetchError::Interrupted { url: wanted.url.clone(), done, total, source };
    let mut buffer = vec![0; 1 << 16];
    progress(done);
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(broken(done, source)),
        };
        let found = done + count as u64;
        if found > total {
            return Err(FetchError::Size { url: wanted.url.clone(), found, expected: total });
        }
        file.write_all(&buffer[..count])
            .map_err(|source| FetchError::Disk { path: path.to_owned(), source })?;
        done = found;
        progress(done);
    }
    if done < total {
        return Err(broken(done, io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}
