//! Taking the wanted members out of a tar archive compressed by gzip.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry};

use super::download::part_of;
use super::error::FetchError;

/// The most bytes an archive may hold once decompressed.
const MAX_BYTES: u64 = 1 << 30;

/// A member to take out of an archive.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// Its path in the archive.
    pub(super) name: &'a str,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// Where it shall be.
    pub(super) target: &'a Path,
}

/// Puts each of `wanted` in its place, each whole or not at all. Nothing is written but to the places wanted, whatever paths
/// the archive holds.
pub(super) fn unpack(path: &Path, mut wanted: Vec<Member<'_>>) -> Result<(), FetchError> {
    let broken = |source| FetchError::Archive { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(broken)?);
    let mut archive = Archive::new(GzDecoder::new(file).take(MAX_BYTES));
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path_bytes();
        let name = name.strip_prefix(b"./").unwrap_or(&name);
        let Some(place) = wanted.iter().position(|member| member.name.as_bytes() == name) else { continue };
        place_member(path, &mut entry, &wanted.swap_remove(place))?;
        if wanted.is_empty() {
            return Ok(());
        }
    }
    let members = wanted.into_iter().map(|member| member.name.to_owned()).collect();
    Err(FetchError::MissingMembers { path: path.to_owned(), members })
}

fn place_member(
    archive: &Path,
    entry: &mut Entry<'_, impl Read>,
    member: &Member<'_>,
) -> Result<(), FetchError> {
    let kind = entry.header().entry_type();
    if !kind.is_file() || entry.size() != member.bytes {
        let (path, member_name, kind) =
            (archive.to_owned(), member.name.to_owned(), char::from(kind.as_byte()));
        let (found, expected) = (entry.size(), member.bytes);
        return Err(FetchError::Member { path, member: member_name, kind, found, expected });
    }
    let part = part_of(member.target);
    let disk = |source| FetchError::Disk { path: part.clone(), source };
    if let Some(folder) = part.parent() {
        fs::create_dir_all(folder).map_err(disk)?;
    }
    let mut content = Vec::new();
    let broken = |source| FetchError::Archive { path: archive.to_owned(), source };
    entry.read_to_end(&mut content).map_err(broken)?;
    if content.len() as u64 != member.bytes {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(&content)?;
        file.sync_all()
    });
    written.map_err(disk)?;
    fs::rename(&part, member.target)
        .map_err(|source| FetchError::Disk { path: member.target.to_owned(), source })
}
