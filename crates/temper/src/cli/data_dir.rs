//! Where data sets lie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The environment variable that names the data directory.
pub(crate) const VARIABLE: &str = "TEMPER_DATA";

/// What `--data-dir` means, for the help of every command that has it.
pub(crate) const DATA_DIR_HELP: &str =
    "Folder of the data sets [default: $TEMPER_DATA, else temper/data in the user's cache folder]";

/// No data directory is named, and the user has no cache folder.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no folder for data is known; give --data-dir DIR or set {VARIABLE}")]
pub(crate) struct DataDirError;

/// The data directory: `given` (from `--data-dir`), else `$TEMPER_DATA`, else `temper/data` in the user's cache folder
/// (`$XDG_CACHE_HOME` or `~/.cache` on Linux).
///
/// # Errors
/// When none of these is known.
pub(crate) fn resolve_data_dir(given: Option<&Path>) -> Result<PathBuf, DataDirError> {
    resolve(given, std::env::var_os(VARIABLE), dirs::cache_dir())
}

fn resolve(
    given: Option<&Path>,
    variable: Option<OsString>,
    cache: Option<PathBuf>,
) -> Result<PathBuf, DataDirError> {
    given
        .map(Path::to_owned)
        .or_else(|| variable.filter(|value| !value.is_empty()).map(PathBuf::from))
        .or_else(|| cache.map(|cache| cache.join("temper").join("data")))
        .ok_or(DataDirError)
}

#[cfg(test)]
mod tests {
    use super::{DataDirError, resolve};

    #[test]
    fn the_nearest_wins() {
        let [given, variable, cache] = ["/given", "/variable", "/cache"];
        let all = resolve(Some(given.as_ref()), Some(variable.into()), Some(cache.into()));
        assert_eq!(all.unwrap(), std::path::Path::new("/given"));
        let no_option = resolve(None, Some(variable.into()), Some(cache.into()));
        assert_eq!(no_option.unwrap(), std::path::Path::new("/variable"));
        let empty_variable = resolve(None, Some("".into()), Some(cache.into()));
        assert_eq!(empty_variable.unwrap(), std::path::Path::new("/cache/temper/data"));
        assert_eq!(resolve(None, None, None), Err(DataDirError));
    }
}
