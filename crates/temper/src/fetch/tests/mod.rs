//! Fetching from a server on this machine.

mod archive;
mod server;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use temper_core::data::{Algorithm, CatalogEntry, CatalogFile, Checksum, Source, Split, catalog, find};

use super::download::{Download, copy, part_of};
use super::{FetchError, Fetched, fetch};
use server::{Answer, Server};

/// Content that does not repeat at any power of two.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * i % 251) as u8).collect()
}

fn checksum(content: &[u8]) -> Checksum {
    let hex = Algorithm::Sha256.of(content).unwrap();
    Checksum { algorithm: Algorithm::Sha256, hex: hex.leak() }
}

/// A data set of one file, `small/file.bin`.
fn entry(content: &[u8]) -> CatalogEntry {
    let file = CatalogFile {
        path: "small/file.bin",
        split: Split::Test,
        bytes: content.len() as u64,
        checksum: checksum(content),
        plain: None,
    };
    let source = Source::Files { base_url: "http://127.0.0.1:9/unused/" };
    CatalogEntry { name: "small", files: vec![file].leak(), source, ..*find("svhn").unwrap() }
}

/// A folder for data with, if given, a part of `small/file.bin` in it.
fn folder(part: Option<&[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    if let Some(part) = part {
        fs::create_dir(dir.path().join("small")).unwrap();
        fs::write(dir.path().join("small/file.bin.part"), part).unwrap();
    }
    dir
}

fn fetch_from(server: &Server, content: &[u8], dir: &Path) -> Result<Vec<Fetched>, FetchError> {
    fetch(&entry(content), dir, Some(&server.url), &mut |_| {})
}

/// Fetches with `answers` into a folder that holds `part`; the file must arrive. Returns the starts of the ranges asked for.
fn arrives(part: Option<&[u8]>, answers: impl IntoIterator<Item = Answer>) -> Vec<Option<usize>> {
    let content = content(300_000);
    let (server, dir) = (Server::start(&content, answers), folder(part));
    let outcomes = fetch_from(&server, &content, dir.path()).unwrap();
    let path = dir.path().join("small/file.bin");
    assert!(fs::read(&path).unwrap() == content, "the file holds other bytes");
    assert!(!part_of(&path).exists());
    assert_eq!(outcomes, [Fetched { path, fetched: true }]);
    server.ranges()
}

/// Fetches with `answers` into a folder that holds `part`; nothing may arrive. Returns the error and the part left.
fn fails(part: Option<&[u8]>, answers: impl IntoIterator<Item = Answer>) -> (FetchError, Option<Vec<u8>>) {
    let content = content(300_000);
    let (server, dir) = (Server::start(&content, answers), folder(part));
    let error = fetch_from(&server, &content, dir.path()).unwrap_err();
    let path = dir.path().join("small/file.bin");
    assert!(!path.exists(), "a file appeared although: {error}");
    (error, fs::read(part_of(&path)).ok())
}

#[test]
fn a_file_arrives_and_is_not_fetched_again() {
    let content = content(300_000);
    let (server, dir) = (Server::start(&content, []), folder(None));
    let mut seen = Vec::new();
    let first = fetch(&entry(&content), dir.path(), Some(&server.url), &mut |progress| {
        assert_eq!((progress.file, progress.total), ("file.bin", 300_000));
        seen.push(progress.done);
    });
    assert!(first.unwrap()[0].fetched);
    assert_eq!((seen[0], seen[seen.len() - 1]), (0, 300_000));
    assert!(seen.is_sorted());
    let again = fetch_from(&server, &content, dir.path()).unwrap();
    assert!(!again[0].fetched);
    assert_eq!(server.requests(), [("/file.bin".to_owned(), None)]);
}

#[test]
fn a_damaged_file_is_replaced() {
    let content = content(1000);
    let (server, dir) = (Server::start(&content, []), folder(Some(&[])));
    fs::write(dir.path().join("small/file.bin"), "damaged").unwrap();
    assert!(fetch_from(&server, &content, dir.path()).unwrap()[0].fetched);
    assert!(fs::read(dir.path().join("small/file.bin")).unwrap() == content);
}

#[test]
fn a_part_is_gone_on_with() {
    let content = content(300_000);
    assert_eq!(arrives(Some(&content[..1234]), []), [Some(1234)]);
    assert_eq!(arrives(Some(&content), []), [], "a whole part needs no server");
    assert_eq!(arrives(Some(&[&content[..], &[1]].concat()), []), [None], "too long a part is started anew");
}

#[test]
fn a_server_without_ranges_sends_the_whole() {
    let content = content(300_000);
    assert_eq!(arrives(Some(&content[..1234]), [Answer::IgnoresRanges]), [Some(1234)]);
    assert_eq!(arrives(Some(&content[..1234]), [Answer::Status(416)]), [Some(1234), None]);
    assert_eq!(arrives(Some(&content[..1234]), [Answer::WrongRange]), [Some(1234), None]);
}

#[test]
fn a_broken_connection_is_taken_up_again() {
    assert_eq!(arrives(None, [Answer::Drops(100_000)]), [None, Some(100_000)]);
    let twice = [Answer::DropsWithoutLength(100_000), Answer::Drops(50_000)];
    assert_eq!(arrives(None, twice), [None, Some(100_000), Some(150_000)]);
    let (error, part) = fails(None, [1, 2, 3].map(Answer::Drops));
    assert!(matches!(error, FetchError::Interrupted { done: 6, total: 300_000, .. }), "{error}");
    assert!(part.unwrap() == content(6), "what arrived stays");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    assert_eq!(arrives(None, [Answer::Redirect("/elsewhere")]), [None, None]);
    assert_eq!(arrives(Some(&content(10)), [Answer::Redirect("/elsewhere")]), [Some(10), Some(10)]);
    let (error, _) = fails(None, vec![Answer::Redirect("/again"); 20]);
    assert!(matches!(error, FetchError::Request { .. }), "{error}");
}

#[test]
fn wrong_bytes_are_removed() {
    let (error, part) = fails(None, [Answer::Other(vec![7; 300_000])]);
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    assert!(error.to_string().contains("it was removed"));
    assert_eq!(part, None);
    let (error, part) = fails(Some(&[7; 100]), []);
    assert!(matches!(error, FetchError::Checksum { .. }), "a part of another file: {error}");
    assert_eq!(part, None);
}

#[test]
fn another_size_is_refused() {
    for other in [vec![7; 299_999], vec![7; 300_001]] {
        let (error, _) = fails(None, [Answer::Other(other.clone())]);
        let FetchError::Size { found, expected: 300_000, .. } = error else { panic!("{error}") };
        assert_eq!(found, other.len() as u64);
    }
    let (error, part) = fails(None, [Answer::Streams(vec![7; 1_000_000])]);
    assert!(matches!(error, FetchError::Size { .. }), "{error}");
    assert!(part.unwrap().is_empty(), "what is known to be wrong does not stay");
}

#[test]
fn a_refusal_is_named() {
    for status in [404, 403, 500, 416] {
        let (error, _) = fails(None, [Answer::Status(status)]);
        assert!(matches!(error, FetchError::Status { status: found, .. } if found == status), "{error}");
    }
    let content = content(10);
    let nowhere = fetch(&entry(&content), folder(None).path(), Some("http://127.0.0.1:1"), &mut |_| {});
    assert!(matches!(nowhere, Err(FetchError::Request { .. })));
    let no_url = fetch(&entry(&content), folder(None).path(), Some("not a url"), &mut |_| {});
    assert!(matches!(no_url, Err(FetchError::Request { .. })));
}

#[test]
fn a_part_that_another_process_writes_is_left_alone() {
    let dir = folder(Some(&[1, 2, 3]));
    let part = fs::File::open(dir.path().join("small/file.bin.part")).unwrap();
    part.lock().unwrap();
    let content = content(10);
    let error = fetch_from(&Server::start(&content, []), &content, dir.path()).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("small"), "a file where the folder should be").unwrap();
    let content = content(10);
    let error = fetch_from(&Server::start(&content, []), &content, dir.path()).unwrap_err();
    assert!(matches!(error, FetchError::Disk { .. }), "{error}");
}

/// A disk with room for so many bytes.
struct SmallDisk(usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_from_a_broken_connection() {
    let content = content(300_000);
    let wanted = Download {
        url: "http://unused".to_owned(),
        target: "file.bin".into(),
        bytes: 300_000,
        checksum: checksum(&content),
    };
    let part = part_of(&wanted.target);
    let error = copy(&mut &content[..], &mut SmallDisk(70_000), 0, &wanted, &part, &mut |_| {}).unwrap_err();
    let FetchError::Disk { path, source } = &error else { panic!("{error}") };
    assert_eq!((path.as_path(), source.kind()), (part.as_path(), io::ErrorKind::StorageFull));
}

#[test]
fn what_is_built_in_needs_no_server() {
    let digits = catalog().iter().find(|entry| entry.source == Source::Embedded).unwrap();
    assert_eq!(fetch(digits, Path::new("nowhere"), None, &mut |_| {}).unwrap(), []);
}
