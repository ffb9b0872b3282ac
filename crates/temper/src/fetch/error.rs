//! Why files cannot be fetched.

use std::io;
use std::path::PathBuf;

use temper_core::data::Algorithm;
use thiserror::Error;

/// Why files cannot be fetched.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// The server cannot be reached or does not speak HTTP.
    #[error("cannot get {url}; see whether it can be reached, or name another server with --mirror URL")]
    Request {
        /// What was asked for.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The server refuses.
    #[error("the server answers {url} with status {status}; name another server with --mirror URL")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server offers a file of another size.
    #[error("{url} has {found} bytes or more; expected {expected}: the server offers another file")]
    Size {
        /// What was asked for.
        url: String,
        /// Bytes offered or received.
        found: u64,
        /// Bytes of the file.
        expected: u64,
    },
    /// The transfer broke off.
    #[error(
        "the transfer of {url} broke off after {done} of {total} bytes; run the command again to go on from there"
    )]
    Interrupted {
        /// What was asked for.
        url: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of the file.
        total: u64,
        /// Why.
        source: io::Error,
    },
    /// What arrived is not the file.
    #[error(
        "what arrived from {url} has the {algorithm} checksum {found}; expected {expected}: it was removed, run the command again, \
         or name another server with --mirror URL"
    )]
    Checksum {
        /// What was asked for.
        url: String,
        /// How the checksum is computed.
        algorithm: Algorithm,
        /// Checksum of what arrived.
        found: String,
        /// Checksum of the file.
        expected: &'static str,
    },
    /// Another process downloads the same file.
    #[error("{} is being written by another process; wait for it to end", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}; see whether the disk is full and the folder may be written to", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An archive cannot be unpacked.
    #[error("cannot unpack {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A member of an archive is not a plain file of the right size.
    #[error(
        "{member} in {} is not a plain file of {expected} bytes (type {kind:?}, {found} bytes)",
        path.display()
    )]
    Member {
        /// The archive.
        path: PathBuf,
        /// Its member.
        member: String,
        /// What the member is, in the letters of the tar format; `0` is a plain file.
        kind: char,
        /// Its bytes.
        found: u64,
        /// The bytes it should have.
        expected: u64,
    },
    /// An archive lacks members.
    #[error("{} does not hold {}", path.display(), members.join(", "))]
    MissingMembers {
        /// The archive.
        path: PathBuf,
        /// The members that are not there.
        members: Vec<String>,
    },
}
