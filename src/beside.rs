//! Files beside a database: what no copy of it should have.

use std::io;
use std::path::{Path, PathBuf};

/// `DIR.ENDING` for the database `DIR`.
///
/// # Errors
/// Where the directory has no name of its own and none can be found.
pub(crate) fn beside(database: &Path, ending: &str) -> io::Result<PathBuf> {
    let whole;
    let place = match database.file_name() {
        Some(_) => database,
        None => {
            whole = database.canonicalize()?;
            whole.as_path()
        }
    };
    let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "it has no name to be beside of");
    let mut name = place.file_name().ok_or_else(nameless)?.to_owned();
    name.push(".");
    name.push(ending);
    Ok(place.with_file_name(name))
}
