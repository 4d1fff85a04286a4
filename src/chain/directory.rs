//! The directory of a chain, which one process at a time opens.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::consensus::{BeaconChain, Config, Files, Identity, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::keys::SecretKey;
use chronolith_disk::{Disk, DiskLock, RealDisk};
use serde::{Deserialize, Serialize};

use super::ChainError;
use crate::wallet::{self, secret_of};

pub(super) const GENESIS: &str = "genesis";
pub(super) const LOCK: &str = "lock";
pub(super) const KEY: &str = "key";
pub(super) const VALIDATORS: &str = "validators";
/// What key files of validators say they are.
const KEY_FORMAT: &str = "chronolith validator key 1";
/// How many blocks of its own a validator can reveal an element of its beacon chain for.
const BEACON_LENGTH: u32 = 100_000;

/// The secrets of a validator, as its file holds them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidatorKey {
    format: String,
    /// The account that the validator's rewards go to.
    account: String,
    consensus: String,
    beacon: String,
}

/// The secrets of a validator.
pub(crate) struct Secrets {
    account: [u8; 32],
    consensus: [u8; 32],
    beacon: [u8; 32],
}

impl Secrets {
    pub(crate) fn random() -> Result<Self, ChainError> {
        let random = wallet::random;
        Ok(Self { account: random()?, consensus: random()?, beacon: random()? })
    }

    /// The account that the validator's rewards go to.
    pub(crate) fn address(&self) -> Address {
        SecretKey::from_seed(&self.account).public().into()
    }

    /// The seed of the key that signs for the account.
    pub(crate) fn account_seed(&self) -> [u8; 32] {
        self.account
    }

    pub(crate) fn identity(&self) -> Identity {
        let key = SecretKey::from_seed(&self.consensus);
        Identity { key, beacon: BeaconChain::new(&self.beacon, BEACON_LENGTH) }
    }

    /// The content of a key file.
    pub(crate) fn to_text(&self) -> String {
        let hex = |bytes: &[u8; 32]| chronolith_chain::hash::Hash(*bytes).to_string();
        let file = ValidatorKey {
            format: KEY_FORMAT.to_owned(),
            account: hex(&self.account),
            consensus: hex(&self.consensus),
            beacon: hex(&self.beacon),
        };
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Reads a key file; the error says what is wrong with it.
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let file: ValidatorKey = serde_json::from_str(text)
            .map_err(|error| format!("line {} is not as it should be", error.line()))?;
        if file.format != KEY_FORMAT {
            return Err(format!("it has the format {:?}, not {KEY_FORMAT:?}", file.format));
        }
        let secret = |text: &str| secret_of(text).map_err(|error| error.to_string());
        Ok(Self {
            account: secret(&file.account)?,
            consensus: secret(&file.consensus)?,
            beacon: secret(&file.beacon)?,
        })
    }
}

pub(super) fn on_disk(what: &'static str, place: &Path) -> impl FnOnce(io::Error) -> ChainError {
    let place = place.to_owned();
    move |source| ChainError::Disk { what, place, source }
}

pub(super) fn validator_directory(directory: &Path, number: usize) -> PathBuf {
    directory.join(VALIDATORS).join(number.to_string())
}

/// The folders of a validator.
pub(super) fn files(directory: &Path, number: usize) -> Result<Files, ChainError> {
    let place = validator_directory(directory, number);
    let folder = |name: &str| {
        let place = place.join(name);
        RealDisk::create(&place).map_err(on_disk("create", &place))
    };
    Ok(Files {
        data: Arc::new(folder("data")?),
        guard: Arc::new(folder("guard")?),
        guard_path: "signed".to_owned(),
    })
}

/// Reads the genesis of a chain; others may use the chain meanwhile.
pub fn read_genesis(directory: &Path) -> Result<Genesis, ChainError> {
    match read_genesis_file(&directory.join(GENESIS)) {
        Err(ChainError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(ChainError::Missing { place: directory.to_owned() })
        }
        other => other,
    }
}

/// Reads a genesis from its file.
pub fn read_genesis_file(place: &Path) -> Result<Genesis, ChainError> {
    let file = File::open(place).map_err(on_disk("open", place))?;
    let (most, mut bytes) = (Genesis::MAX_BYTES, Vec::new());
    // One byte more than allowed, so that what is too long does not look like what is not.
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(on_disk("read", place))?;
    if bytes.len() > most {
        return Err(ChainError::LongGenesis { place: place.to_owned(), most });
    }
    let no_genesis = |reason| ChainError::NoGenesis { place: place.to_owned(), reason };
    Genesis::decode(&bytes).map_err(no_genesis)
}

/// What an opened directory gives.
pub(super) struct Opened {
    pub(super) genesis: Genesis,
    pub(super) validators: Vec<Validator>,
    pub(super) lock: Box<dyn DiskLock>,
}

/// Keeps others from a chain.
pub(super) fn lock(disk: &RealDisk, directory: &Path) -> Result<Box<dyn DiskLock>, ChainError> {
    disk.lock(LOCK).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ChainError::InUse { place: directory.to_owned() },
        _ => on_disk("lock", directory)(error),
    })
}

/// Opens a chain, and keeps others from it.
pub(super) fn open(directory: &Path) -> Result<Opened, ChainError> {
    let genesis = read_genesis(directory)?;
    let disk = RealDisk::existing(directory).map_err(on_disk("open", directory))?;
    let lock = lock(&disk, directory)?;
    let mut validators = Vec::new();
    for number in 0..genesis.validators.len() {
        let place = validator_directory(directory, number).join(KEY);
        let text = wallet::read_private(&place)?;
        let secrets =
            Secrets::from_text(&text).map_err(|reason| ChainError::Key { place, reason })?;
        let (files, identity) = (files(directory, number)?, secrets.identity());
        let config = Config::development();
        validators.push(Validator::open(&genesis, &files, Some(identity), config)?);
    }
    Ok(Opened { genesis, validators, lock })
}
