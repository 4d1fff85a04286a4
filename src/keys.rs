//! The keys of a database: the file `keys.toml` in its directory says where they are, so that every
//! command and every server finds them.
//!
//! The keystore itself is beside the directory, or elsewhere, so that a copy of the directory holds no
//! keys, and destroying one here destroys it.

mod passphrase;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::{ChunkKeys, DeviceAccount, KeyError, KeyRandom};
use chronolith_keys::{
    Keystore, KeystoreError, KeystoreFile, KeystoreFileError, Secret, Unlock, Wrap,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::database::file::{self, Content, Failure};
use crate::wallet::{AccountKey, Wallet, WalletError};
pub(crate) use passphrase::{new_passphrase, passphrase_of};

/// The name of the file.
pub const FILE: &str = "keys.toml";
/// The largest file that is read: bytes. It has a line for each device that is named.
const BYTES_MAX: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysFile {
    /// The keystore. Paths are relative to the database's directory.
    pub keystore: PathBuf,
    /// The wallet with the account that the devices are registered by.
    pub wallet: PathBuf,
    /// The name of the account's key.
    pub account: String,
    /// The file that holds the passphrase; without one it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// Devices whose accounts do not follow from the account: those that another owner registered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, DeviceEntry>,
}

/// A device that has had other owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEntry {
    /// Its account on the ledger.
    pub account: Address,
    /// The number of its key tree: how many owners it had before.
    #[serde(default)]
    pub tree: u32,
}

/// Why a database's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", place.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        place: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `keys.toml` does not say what it must.
    #[error("{}: {reason}", place.display())]
    Content {
        /// The file.
        place: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// The database has keys already.
    #[error("{} is there already: the database has keys", place.display())]
    Exists {
        /// The file.
        place: PathBuf,
    },
    /// The keystore needs a passphrase that nobody gave.
    #[error(
        "{} is under a passphrase: give it at a terminal, or name a file that holds it with {}",
        place.display(), passphrase::VARIABLE
    )]
    NeedsPassphrase {
        /// The keystore.
        place: PathBuf,
    },
    /// A file that holds a passphrase may be read by others, or holds none.
    #[error("{}: {reason}", place.display())]
    Passphrase {
        /// The file.
        place: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The keystore cannot be opened.
    #[error(transparent)]
    File(#[from] KeystoreFileError),
    /// A keystore cannot be made.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// Keys cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The account's key cannot be read.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

impl From<Failure> for KeysError {
    fn from(Failure { action, place, source }: Failure) -> Self {
        Self::Disk { action, place, source }
    }
}

fn disk(action: &'static str, place: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let place = place.to_owned();
    move |source| KeysError::Disk { action, place, source }
}

impl KeysFile {
    /// The file of a database, where it has one.
    ///
    /// # Errors
    /// Where it cannot be read, or says what it may not.
    pub fn read(database: &Path) -> Result<Option<Self>, KeysError> {
        let place = database.join(FILE);
        let text = match file::read(&place, BYTES_MAX)? {
            Content::Missing => return Ok(None),
            Content::Long(length) => {
                let reason = format!("{length} bytes do not say where keys are");
                return Err(KeysError::Content { place, reason });
            }
            Content::Text(text) => text,
        };
        match toml::from_str(&text) {
            Ok(file) => Ok(Some(file)),
            Err(error) => {
                Err(KeysError::Content { place, reason: error.to_string().trim_end().to_owned() })
            }
        }
    }

    /// Writes the file of a database, whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, database: &Path) -> Result<(), KeysError> {
        let wrong = |error: toml::ser::Error| KeysError::Content {
            place: database.join(FILE),
            reason: error.to_string(),
        };
        let text = toml::to_string_pretty(self).map_err(wrong)?;
        Ok(file::write(database, FILE, &text, 0o666)?)
    }

    /// The same for another directory: with whole paths.
    ///
    /// # Errors
    /// Where the directory of this one cannot be found.
    pub fn seen_from(&self, database: &Path) -> Result<Self, KeysError> {
        let whole = |path: &Path| {
            let place = database.join(path);
            std::path::absolute(&place).map_err(disk("find", &place))
        };
        Ok(Self {
            keystore: whole(&self.keystore)?,
            wallet: whole(&self.wallet)?,
            account: self.account.clone(),
            passphrase_file: self.passphrase_file.as_deref().map(whole).transpose()?,
            devices: self.devices.clone(),
        })
    }

    /// Where the keystore is.
    #[must_use]
    pub fn keystore_place(&self, database: &Path) -> PathBuf {
        database.join(&self.keystore)
    }

    /// The account that the devices are registered by.
    ///
    /// # Errors
    /// Where its key cannot be read.
    pub fn account(&self, database: &Path) -> Result<AccountKey, KeysError> {
        Ok(Wallet::at(database.join(&self.wallet)).load(&self.account)?)
    }

    /// Opens the keystore: to be changed, or to be read beside somebody who may change it.
    ///
    /// # Errors
    /// Where it or the account's key cannot be read, or the passphrase is missing or wrong.
    pub fn open(&self, database: &Path, read_only: bool) -> Result<ChunkKeys, KeysError> {
        if read_only {
            let keystore = self.unlocked(database, |disk, name, unlock| {
                KeystoreFile::read(&**disk, name, unlock)
            })?;
            // Whoever only reads records needs no account.
            let account = self.account(database).ok();
            return Ok(ChunkKeys::read_only(keystore, accounts(account, self.devices.clone())));
        }
        let account = self.account(database)?;
        let file = self.open_file(database)?;
        Ok(ChunkKeys::new(file, accounts(Some(account), self.devices.clone())))
    }

    /// Opens the keystore's file by the passphrase, where it has one.
    ///
    /// # Errors
    /// As [`KeysFile::open`].
    pub fn open_file(&self, database: &Path) -> Result<KeystoreFile, KeysError> {
        self.unlocked(database, |disk, name, unlock| {
            KeystoreFile::open(Arc::clone(disk), name, unlock)
        })
    }

    /// Opens the keystore's file by its recovery words, whatever the passphrase is.
    ///
    /// # Errors
    /// As [`KeysFile::open`], and where the words are of another keystore.
    pub fn recover(
        &self,
        database: &Path,
        wrapping_key: Secret,
    ) -> Result<KeystoreFile, KeysError> {
        let (disk, name) = place_on_disk(&self.keystore_place(database))?;
        Ok(KeystoreFile::open(disk, &name, Unlock::WrappingKey(wrapping_key))?)
    }

    fn unlocked<T>(
        &self,
        database: &Path,
        open: impl Fn(&Arc<dyn Disk>, &str, Unlock<'_>) -> Result<T, KeystoreFileError>,
    ) -> Result<T, KeysError> {
        let place = self.keystore_place(database);
        let (disk, name) = place_on_disk(&place)?;
        match open(&disk, &name, Unlock::Plain) {
            Err(KeystoreFileError::Keystore { source: KeystoreError::NeedsPassphrase, .. }) => {}
            opened => return Ok(opened?),
        }
        let file = self.passphrase_file.as_ref().map(|file| database.join(file));
        let passphrase = passphrase_of(file.as_deref(), &place)?;
        Ok(open(&disk, &name, Unlock::Passphrase(&passphrase))?)
    }
}

/// Who a device is on the ledger.
fn accounts(
    account: Option<AccountKey>,
    devices: BTreeMap<String, DeviceEntry>,
) -> impl Fn(&str) -> DeviceAccount + Send + Sync {
    move |name| match (devices.get(name), &account) {
        (Some(DeviceEntry { account, tree }), _) => DeviceAccount { key: account.0, era: *tree },
        (None, Some(account)) => {
            DeviceAccount { key: Address::from(account.device(name).public()).0, era: 0 }
        }
        (None, None) => DeviceAccount { key: [0; 32], era: 0 },
    }
}

/// The folder of a file, and its name in it.
fn place_on_disk(place: &Path) -> Result<(Arc<dyn Disk>, String), KeysError> {
    let named = place.file_name().and_then(|name| name.to_str());
    let name = named.ok_or_else(|| disk("open", place)(io::ErrorKind::InvalidInput.into()))?;
    let folder = match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = RealDisk::existing(folder).map_err(disk("open", folder))?;
    Ok((Arc::new(folder), name.to_owned()))
}

/// Makes the keystore of a database, and the file that names it. The words open it when all else is
/// forgotten; they are told once.
///
/// # Errors
/// Where there is one, the account has no key, or the disk fails.
pub fn create(
    database: &Path,
    file: &KeysFile,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>, KeysError> {
    let place = database.join(FILE);
    if fs::symlink_metadata(&place).is_ok() {
        return Err(KeysError::Exists { place });
    }
    file.account(database)?;
    let mut random = KeyRandom::new()?;
    let keystore = Keystore::generate(wrap(passphrase), &mut random)?;
    let words = keystore.wrapping_key().to_words();
    let (disk, name) = place_on_disk(&file.keystore_place(database))?;
    KeystoreFile::create(disk, &name, keystore, &mut random)?;
    file.write(database)?;
    Ok(words)
}

/// How a keystore is kept under a passphrase, or without one.
#[must_use]
pub fn wrap(passphrase: Option<&[u8]>) -> Wrap<'_> {
    match passphrase {
        Some(passphrase) => Wrap::Passphrase { passphrase, cost: chronolith_keys::Cost::default() },
        None => Wrap::Plain,
    }
}
