//! The small files in a database's directory that say where its parts are: read within a bound, and
//! written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What cannot be done with a file.
pub(crate) struct Failure {
    /// What was tried.
    pub(crate) action: &'static str,
    /// With which file.
    pub(crate) place: PathBuf,
    /// The system's reason.
    pub(crate) source: io::Error,
}

fn failed(action: &'static str, place: &Path) -> impl FnOnce(io::Error) -> Failure {
    let place = place.to_owned();
    move |source| Failure { action, place, source }
}

/// What is in a file.
pub(crate) enum Content {
    /// It is not there.
    Missing,
    /// It is longer than it may be: bytes.
    Long(u64),
    /// Its text.
    Text(String),
}

/// Reads a file of at most `most` bytes.
pub(crate) fn read(place: &Path, most: u64) -> Result<Content, Failure> {
    let length = match fs::metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        metadata => metadata.map_err(failed("read", place))?.len(),
    };
    if length > most {
        return Ok(Content::Long(length));
    }
    Ok(Content::Text(fs::read_to_string(place).map_err(failed("read", place))?))
}

/// Writes a file of a database whole or not at all, with the given access.
pub(crate) fn write(database: &Path, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let (place, temporary) = (database.join(name), database.join(format!("{name}.new")));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(&temporary).map_err(failed("create", &temporary))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &place))
        .and_then(|()| File::open(database)?.sync_all())
        .map_err(failed("write", &place))
}
