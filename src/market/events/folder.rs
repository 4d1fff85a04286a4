//! The records of sales on disk: a file for each, which only its user may read.
//!
//! ```text
//! events/ID.json                     a sale: its facts, and the calls that wait
//! events/CONTRACT-WEBHOOK.ended      why a receiver wants no more; without it, calls are made again
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chronolith_chain::hash::Hash;
use chronolith_disk::RealDisk;

use super::record::{FORMAT, Record, SaleId};
use crate::wallet::{WalletError, make_private_directory, read_private_up_to, write_private};

/// The largest record: bytes. A subscription's has two facts of each period.
const RECORD_MOST: u64 = 64 << 20;
/// The longest reason that is read: bytes.
const REASON_MOST: u64 = 4_096;

/// Why what happens to sales cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A file is no record of its sale.
    #[error(
        "{} is no record of a sale: {reason}; restore it, or remove it to have all that happened told again",
        place.display()
    )]
    Content {
        /// The file.
        place: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Whether there is no such file.
fn is_missing(error: &WalletError) -> bool {
    matches!(error, WalletError::Disk { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// A folder of records.
#[derive(Debug)]
pub struct Folder {
    place: PathBuf,
    disk: RealDisk,
}

impl Folder {
    /// The records in a folder, which is made where there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn within(place: &Path) -> Result<Self, EventsError> {
        let failed = |source| {
            let place = place.to_owned();
            WalletError::Disk { what: "create", place, source }
        };
        make_private_directory(place).map_err(failed)?;
        let disk = RealDisk::existing(place).map_err(failed)?;
        Ok(Self { place: place.to_owned(), disk })
    }

    fn failed(&self, what: &'static str, name: &str) -> impl FnOnce(std::io::Error) -> WalletError {
        let place = self.place.join(name);
        move |source| WalletError::Disk { what, place, source }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), EventsError> {
        let written = write_private(&self.disk, &format!(".{name}.new"), name, bytes);
        Ok(written.map_err(self.failed("write", name))?)
    }

    /// Keeps a record, whole or not at all.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, record: &Record) -> Result<(), EventsError> {
        let text = serde_json::to_string(record).unwrap_or_default();
        self.write(&format!("{}.json", record.sale), text.as_bytes())
    }

    /// The record of a sale; none before it was seen.
    ///
    /// # Errors
    /// Where it cannot be read, or is something else.
    pub fn record(&self, sale: SaleId) -> Result<Option<Record>, EventsError> {
        let place = self.place.join(format!("{sale}.json"));
        let record = match self.read(place.clone()) {
            // Whatever else is wrong with it: it is there, and must not be made anew.
            Err(EventsError::Wallet(error)) if is_missing(&error) => return Ok(None),
            read => read?,
        };
        if record.sale != sale {
            let reason = format!("it is of {}", record.sale);
            return Err(EventsError::Content { place, reason });
        }
        Ok(Some(record))
    }

    fn read(&self, place: PathBuf) -> Result<Record, EventsError> {
        let text = read_private_up_to(&place, RECORD_MOST)?;
        let record: Record = match serde_json::from_str(&text) {
            Ok(record) => record,
            Err(error) => {
                let reason = error.to_string();
                return Err(EventsError::Content { place, reason });
            }
        };
        if record.format != FORMAT {
            let reason = format!("it has the format {:?}, not {FORMAT:?}", record.format);
            return Err(EventsError::Content { place, reason });
        }
        Ok(record)
    }

    /// Hands over all records; one that cannot be read keeps no other. The first failure.
    ///
    /// # Errors
    /// Where the folder or a record cannot be read.
    pub fn for_each(&self, mut take: impl FnMut(Record)) -> Result<(), EventsError> {
        let entries = fs::read_dir(&self.place).map_err(self.failed("list", ""))?;
        let mut first = Ok(());
        for entry in entries {
            let place = entry.map_err(self.failed("list", ""))?.path();
            let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(".json") && !name.starts_with('.') {
                match self.read(place) {
                    Ok(record) => take(record),
                    Err(error) => first = first.and(Err(error)),
                }
            }
        }
        first
    }

    /// Why the receiver of a contract's webhook wants no more; none where it does.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn ended(&self, contract: Hash, webhook: &str) -> Result<Option<String>, EventsError> {
        let place = self.place.join(format!("{contract}-{webhook}.ended"));
        match read_private_up_to(&place, REASON_MOST) {
            Ok(reason) => Ok(Some(reason)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps that the receiver of a contract's webhook wants no more.
    ///
    /// # Errors
    /// What the disk says.
    pub fn end(&self, contract: Hash, webhook: &str, reason: &str) -> Result<(), EventsError> {
        self.write(&format!("{contract}-{webhook}.ended"), reason.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::RequestId;

    use super::*;

    /// A record that could not be looked at was none: it was made anew, and all that had happened was told
    /// again. Here its way leads in a circle, which is an error for every user.
    #[cfg(unix)]
    #[test]
    fn a_record_that_cannot_be_read_is_not_one_that_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::within(directory.path()).unwrap();
        let sale = SaleId::Request(RequestId([7; 32]));
        assert!(folder.record(sale).unwrap().is_none());
        let place = directory.path().join(format!("{sale}.json"));
        std::os::unix::fs::symlink(&place, &place).unwrap();
        let refused = folder.record(sale).unwrap_err();
        assert!(refused.to_string().contains(&sale.to_string()), "{refused}");
    }
}
