//! Since when sealed chunks wait for a pack to be full, whenever the producer is stopped and started.
//!
//! The time is that of an empty file in the folder of packs. A power cut may take the file; then the chunks
//! wait once more.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::packs::PackFileError;

/// The name of the file.
const NAME: &str = "waiting";

/// Says how long chunks have waited.
pub(super) struct Waiting {
    place: PathBuf,
}

impl Waiting {
    /// By the file in a folder of packs.
    pub(super) fn within(folder: &Path) -> Self {
        Self { place: folder.join(NAME) }
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(Error) -> PackFileError {
        let place = self.place.clone();
        move |source| PackFileError::Disk { what, place, source }
    }

    /// How long chunks have waited. Where none did, they do from now on. A clock that was put back begins
    /// anew.
    pub(super) fn passed(&self) -> Result<Duration, PackFileError> {
        match fs::metadata(&self.place).and_then(|file| file.modified()) {
            Ok(since) => Ok(since.elapsed().unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::write(&self.place, []).map_err(self.failed("write"))?;
                Ok(Duration::ZERO)
            }
            Err(error) => Err(self.failed("read")(error)),
        }
    }

    /// Nothing waits any more.
    pub(super) fn end(&self) -> Result<(), PackFileError> {
        match fs::remove_file(&self.place) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed("remove")(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_time_goes_on_where_another_run_left_off() {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::within(folder.path());
        assert_eq!(waiting.passed().unwrap(), Duration::ZERO);
        let hour = Duration::from_secs(3_600);
        let file = File::options().write(true).open(folder.path().join(NAME)).unwrap();
        file.set_modified(SystemTime::now() - hour).unwrap();
        assert!(Waiting::within(folder.path()).passed().unwrap() >= hour);
        waiting.end().unwrap();
        waiting.end().unwrap();
        assert_eq!(waiting.passed().unwrap(), Duration::ZERO);
        let file = File::options().write(true).open(folder.path().join(NAME)).unwrap();
        file.set_modified(SystemTime::now() + hour).unwrap();
        assert_eq!(waiting.passed().unwrap(), Duration::ZERO, "a clock that was put back");
    }
}
