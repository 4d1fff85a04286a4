//! How a database is opened by this program: with the segment store, the keys and the rules of privacy
//! that the files in its directory name.

pub(crate) mod file;

use std::path::Path;

use chronolith_engine::{KeyError, Options};

use crate::keys::{KeysError, KeysFile};
use crate::privacy::{PrivacyError, PrivacyFile};
use crate::store::{StoreFileError, segment_store};

/// Why a database's options cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The segment store.
    #[error(transparent)]
    Store(#[from] StoreFileError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The keys cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The rules of privacy.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
}

/// Options with all that the files in the directory of a database say.
///
/// # Errors
/// Which of them cannot be used, and why.
pub fn with_files(database: &Path, options: Options) -> Result<Options, OptionsError> {
    let segment_store = segment_store(database)?;
    let privacy = PrivacyFile::read(database)?;
    let rules = privacy.into_rules().map_err(|reason| PrivacyError::Content {
        place: database.join(crate::privacy::FILE),
        reason,
    })?;
    let options = Options { segment_store, rules, ..options };
    match KeysFile::read(database)? {
        Some(file) => {
            let keys = file.open(database, options.read_only)?;
            Ok(options.with_keys(keys)?)
        }
        None => Ok(options),
    }
}
