//! Fetching members of an archive, such as those of CIFAR-10.

use std::fs;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};
use temper_core::data::{CatalogEntry, CatalogFile, Source, Split, find};

use super::server::{Answer, Server};
use super::{checksum, content};
use crate::fetch::{FetchError, fetch};

/// An archive of members given by path, type and content. Paths are written as they are, however hostile.
fn archive(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in members {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A data set of two members, `batches/a.bin` and `batches/b.bin`, of 5 000 and 70 000 bytes.
fn entry(archive: &[u8]) -> CatalogEntry {
    let files = [("packed/batches/a.bin", 5_000), ("packed/batches/b.bin", 70_000)].map(|(path, bytes)| {
        let checksum = checksum(&content(bytes));
        CatalogFile { path, split: Split::Test, bytes: bytes as u64, checksum, plain: None }
    });
    let source = Source::Archive {
        base_url: "http://127.0.0.1:9/unused/",
        name: "packed.tar.gz",
        bytes: archive.len() as u64,
        checksum: checksum(archive),
        folder: "packed/",
    };
    CatalogEntry { name: "packed", files: files.to_vec().leak(), source, ..*find("svhn").unwrap() }
}

fn good() -> Vec<u8> {
    archive(&[
        ("batches/", EntryType::Directory, b""),
        ("batches/readme.html", EntryType::Regular, b"not wanted"),
        ("./batches/a.bin", EntryType::Regular, &content(5_000)),
        ("batches/b.bin", EntryType::Regular, &content(70_000)),
    ])
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

fn fails(archive: &[u8]) -> (FetchError, Vec<String>) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("data");
    let server = Server::start(archive, []);
    let error = fetch(&entry(archive), &dir, Some(&server.url), &mut |_| {}).unwrap_err();
    (error, files(outer.path()))
}

#[test]
fn the_wanted_members_and_nothing_else() {
    let (archive, dir) = (good(), tempfile::tempdir().unwrap());
    let server = Server::start(&archive, [Answer::Drops(100)]);
    let outcomes = fetch(&entry(&archive), dir.path(), Some(&server.url), &mut |_| {}).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.fetched));
    assert_eq!(files(dir.path()), ["packed/batches/a.bin", "packed/batches/b.bin"]);
    assert!(fs::read(dir.path().join("packed/batches/b.bin")).unwrap() == content(70_000));
    assert_eq!(server.requests()[1], ("/packed.tar.gz".to_owned(), Some(100)));
}

#[test]
fn only_what_is_missing_is_unpacked_and_an_archive_that_is_here_is_used() {
    let (archive, dir) = (good(), tempfile::tempdir().unwrap());
    fs::create_dir_all(dir.path().join("packed/batches")).unwrap();
    fs::write(dir.path().join("packed/batches/a.bin"), content(5_000)).unwrap();
    fs::write(dir.path().join("packed/packed.tar.gz"), &archive).unwrap();
    let nowhere = Some("http://127.0.0.1:1");
    let outcomes = fetch(&entry(&archive), dir.path(), nowhere, &mut |_| {}).unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.fetched).collect::<Vec<_>>(), [false, true]);
    assert_eq!(files(dir.path()), ["packed/batches/a.bin", "packed/batches/b.bin"]);
}

#[test]
fn paths_that_lead_elsewhere_are_passed_over() {
    let hostile = archive(&[
        ("../../evil", EntryType::Regular, b"x"),
        ("/tmp/temper-evil", EntryType::Regular, b"x"),
        ("batches/../../../evil", EntryType::Regular, b"x"),
        ("batches/a.bin", EntryType::Regular, &content(5_000)),
    ]);
    let (error, left) = fails(&hostile);
    let FetchError::MissingMembers { members, .. } = &error else { panic!("{error}") };
    assert_eq!(*members, ["batches/b.bin"]);
    assert_eq!(left, ["data/packed/batches/a.bin", "data/packed/packed.tar.gz"]);
    assert!(!Path::new("/tmp/temper-evil").exists());
}

#[test]
fn a_member_must_be_a_plain_file_of_the_right_size() {
    let (error, left) = fails(&archive(&[("batches/a.bin", EntryType::Regular, &content(5_001))]));
    assert!(matches!(error, FetchError::Member { found: 5_001, expected: 5_000, .. }), "{error}");
    assert_eq!(left, ["data/packed/packed.tar.gz"]);
    let (error, _) = fails(&archive(&[("batches/a.bin", EntryType::Symlink, b"")]));
    assert!(matches!(error, FetchError::Member { kind: '2', .. }), "{error}");
}

#[test]
fn a_cut_archive_cannot_be_unpacked() {
    let whole = good();
    let (error, left) = fails(&whole[..whole.len() - 200]);
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
    assert!(!left.contains(&"data/packed/batches/b.bin".to_owned()), "{left:?}");
    let (error, _) = fails(b"not an archive");
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
}
