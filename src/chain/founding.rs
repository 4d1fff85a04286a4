//! Making a chain: everything is checked before anything is written, and a chain is there as a
//! whole or not at all.
//!
//! The genesis is written first, as `genesis.new`, and gets its name last. A directory in which
//! there is `genesis.new` and no `genesis` is what somebody left who was stopped: nobody has used
//! those keys, and the next who makes a chain there takes them away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{Config, Identity, Validator};
use chronolith_chain::encoding::{Rising, Text, encode};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::ledger::{PROTOCOL, ParameterChange};
use chronolith_chain::validator_set::MAX_VALIDATORS;
use chronolith_disk::{Disk, RealDisk};

use super::ChainError;
use super::directory::{
    GENESIS, KEY, LOCK, Secrets, VALIDATORS, files, lock, on_disk, validator_directory,
};
use crate::wallet::{self, WalletError};

/// The genesis of a chain that is not whole yet.
const UNFINISHED: &str = "genesis.new";
/// The bond and the power of a validator of the genesis.
const BOND: Amount = Amount::coins(10_000);
const POWER: u64 = 10_000;

/// What a chain begins with.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// What people call the chain.
    pub name: String,
    /// How many validators it has.
    pub validators: usize,
    /// Who holds what.
    pub accounts: Vec<GenesisAccount>,
    /// Parameters that are not what they are by default, such as the length of an epoch.
    pub parameters: Vec<ParameterChange>,
}

/// The genesis that these validators begin a chain with.
pub(crate) fn genesis(
    beginning: Beginning,
    secrets: &[Secrets],
    identities: &[Identity],
) -> Result<Genesis, ChainError> {
    let Beginning { name, mut accounts, parameters, .. } = beginning;
    let both = secrets.iter().zip(identities);
    let validators = both.map(|(secrets, identity)| GenesisValidator {
        validator: secrets.address(),
        consensus_key: identity.key.public(),
        bond: BOND,
        beacon: identity.beacon.end(),
        power: POWER,
    });
    let mut validators: Vec<GenesisValidator> = validators.collect();
    validators.sort_by_key(|validator| validator.validator);
    accounts.sort_by_key(|account| account.address);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let most = Genesis::NAME_MOST;
    let genesis = Genesis {
        name: Text::new(&name).map_err(|_| ChainError::Name { name, most })?,
        time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        protocol: PROTOCOL,
        parameters: Rising::new(parameters)?,
        accounts: Rising::new(accounts)?,
        validators: Rising::new(validators)?,
    };
    // Before anything is written: parameters may not agree.
    genesis.values()?;
    Ok(genesis)
}

/// A chain that can be made: everything about it is checked, and nothing is written.
pub struct Foundation {
    directory: PathBuf,
    genesis: Genesis,
    secrets: Vec<Secrets>,
    identities: Vec<Identity>,
}

impl Foundation {
    /// A chain for an empty directory, or one that does not exist yet.
    ///
    /// # Errors
    /// [`ChainError::Exists`] where the directory is not empty; where no chain can begin like this.
    pub fn new(directory: &Path, beginning: Beginning) -> Result<Self, ChainError> {
        let count = beginning.validators;
        if !(1..=MAX_VALIDATORS).contains(&count) {
            return Err(ChainError::Validators { most: MAX_VALIDATORS, found: count });
        }
        ensure_vacant(directory)?;
        let secrets = (0..count).map(|_| Secrets::random()).collect::<Result<Vec<_>, _>>()?;
        let identities: Vec<Identity> = secrets.iter().map(Secrets::identity).collect();
        let genesis = genesis(beginning, &secrets, &identities)?;
        Ok(Self { directory: directory.to_owned(), genesis, secrets, identities })
    }

    /// Makes the chain; `keep_key` keeps what its coin is spent with, once all else is made.
    ///
    /// # Errors
    /// Whatever the disk says; what was made up to then is gone again.
    pub fn create(
        self,
        keep_key: impl FnOnce() -> Result<(), WalletError>,
    ) -> Result<Genesis, ChainError> {
        let directory = self.directory.clone();
        let was_there = directory.is_dir();
        let disk = RealDisk::create(&directory).map_err(on_disk("create", &directory))?;
        let _lock = lock(&disk, &directory)?;
        // Once more, now that nobody else can make a chain here.
        ensure_vacant(&directory)?;
        clear(&directory).map_err(on_disk("remove what is unfinished in", &directory))?;
        let built = self.build(&disk, keep_key);
        if built.is_err() {
            // What went wrong is told; what stays here all the same is what `ensure_vacant` lets be.
            let _ = clear(&directory).and_then(|()| disk.remove(LOCK));
            if !was_there {
                let _ = fs::remove_dir(&directory);
            }
        }
        built
    }

    fn build(
        self,
        disk: &RealDisk,
        keep_key: impl FnOnce() -> Result<(), WalletError>,
    ) -> Result<Genesis, ChainError> {
        let Self { directory, genesis, secrets, identities } = self;
        put_genesis(disk, &genesis).map_err(on_disk("write the genesis to", &directory))?;
        for (number, (secrets, identity)) in secrets.iter().zip(identities).enumerate() {
            let place = validator_directory(&directory, number);
            let folder = RealDisk::create(&place).map_err(on_disk("create", &place))?;
            wallet::write_private(&folder, "key.new", KEY, secrets.to_text().as_bytes())
                .map_err(on_disk("write a key to", &place))?;
            let (files, config) = (files(&directory, number)?, Config::development());
            Validator::create(&genesis, &files, Some(identity), config)?;
            folder.sync_dir("").map_err(on_disk("sync", &place))?;
        }
        // Before there is a chain: one whose coin nobody can spend would be of no use.
        keep_key()?;
        let finish = || -> io::Result<()> {
            disk.sync_dir(VALIDATORS)?;
            disk.sync_dir("")?;
            disk.rename(UNFINISHED, GENESIS)?;
            disk.sync_dir("")
        };
        finish().map_err(on_disk("write the genesis to", &directory))?;
        Ok(genesis)
    }
}

/// Writes the genesis under the name of one that is not finished.
fn put_genesis(disk: &RealDisk, genesis: &Genesis) -> io::Result<()> {
    let file = disk.open_private(UNFINISHED)?;
    file.append(&encode(genesis))?;
    file.sync()?;
    disk.sync_dir("")
}

/// Refuses a directory in which there is anything but what an unfinished chain left.
fn ensure_vacant(directory: &Path) -> Result<(), ChainError> {
    let mut names = Vec::new();
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(on_disk("list", directory)(error)),
        Ok(entries) => {
            for entry in entries {
                names.push(entry.map_err(on_disk("list", directory))?.file_name());
            }
        }
    }
    let is_unfinished = names.iter().any(|name| name == UNFINISHED);
    let is_left =
        |name| name == LOCK || (is_unfinished && (name == UNFINISHED || name == VALIDATORS));
    if names.iter().all(|name| name.to_str().is_some_and(is_left)) {
        return Ok(());
    }
    Err(ChainError::Exists { place: directory.to_owned() })
}

/// Removes an unfinished chain, and last what tells that it is one.
fn clear(directory: &Path) -> io::Result<()> {
    let is_gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    };
    fs::remove_dir_all(directory.join(VALIDATORS)).or_else(is_gone)?;
    fs::remove_file(directory.join(UNFINISHED)).or_else(is_gone)
}
