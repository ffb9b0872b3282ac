//! Files that are either old or new, never half.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that a reader, or a crash, sees its old content or its new one: a temporary file in the same folder, synced,
/// then renamed.
///
/// # Errors
/// When the file cannot be written; the old one is then left as it was.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // Best effort: the first error is the one to report.
        drop(fs::remove_file(&temporary));
    }
    renamed
}
