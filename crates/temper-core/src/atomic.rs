//! Files and folders that are either old or new, never half.

use std::fs;
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

/// Makes a folder in the same way: `fill` writes its content under another name beside it, then it is renamed. `path` may be an
/// empty folder already where the system can rename onto one.
///
/// # Errors
/// When `fill` fails, or there is something at `path`; nothing is left behind then.
pub(crate) fn create_folder_atomically(
    path: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(folder_of(path))?;
    fill(folder.path())?;
    fs::rename(folder.path(), path)?;
    // Its old name is gone: there is nothing to clean up.
    drop(folder.keep());
    Ok(())
}

/// The folder that a path lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_temporary(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // A temporary file is private by default; this one becomes an ordinary file, subject to the user's mask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(folder_of(path))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
