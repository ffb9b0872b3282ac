//! Files that are either old or new, never half.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// What the names of unfinished files begin with; a killed process may leave one behind.
pub(crate) const TEMPORARY_PREFIX: &str = ".temper-";

/// Writes a file so that a reader, or a crash, sees its old content or its new one: a temporary file in the same folder, synced,
/// then renamed.
///
/// # Errors
/// When the file cannot be written; the old one is then left as it was.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    write_temporary(path, content)?.persist(path)?;
    Ok(())
}

/// Writes a new file in the same way.
///
/// # Errors
/// When the file exists already ([`io::ErrorKind::AlreadyExists`]) or cannot be written.
pub(crate) fn create_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    write_temporary(path, content)?.persist_noclobber(path)?;
    Ok(())
}

fn write_temporary(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // A temporary file is private by default; this one becomes an ordinary file, subject to the user's mask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
