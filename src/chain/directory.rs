//! The directory of a chain: made once, opened by one process at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::{BeaconChain, Config, Files, Identity, Validator};
use chronolith_chain::encoding::{Rising, Text, encode};
use chronolith_chain::genesis::{Genesis, GenesisAccount, GenesisValidator};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::ParameterChange;
use chronolith_chain::validator_set::MAX_VALIDATORS;
use chronolith_disk::{Disk, DiskLock, RealDisk, read_all};
use serde::{Deserialize, Serialize};

use super::ChainError;
use crate::wallet::{self, secret_of};

const GENESIS: &str = "genesis";
const LOCK: &str = "lock";
const KEY: &str = "key";
/// What key files of validators say they are.
const KEY_FORMAT: &str = "chronolith validator key 1";
/// How many blocks of its own a validator can reveal an element of its beacon chain for.
const BEACON_LENGTH: u32 = 100_000;
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

fn on_disk(what: &'static str, place: &Path) -> impl FnOnce(std::io::Error) -> ChainError {
    let place = place.to_owned();
    move |source| ChainError::Disk { what, place, source }
}

fn validator_directory(directory: &Path, number: usize) -> PathBuf {
    directory.join("validators").join(number.to_string())
}

/// The folders of a validator.
fn files(directory: &Path, number: usize) -> Result<Files, ChainError> {
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

/// Makes a chain in an empty directory.
///
/// # Errors
/// [`ChainError::Exists`] where the directory is not empty; whatever the disk says.
pub fn create(directory: &Path, beginning: Beginning) -> Result<Genesis, ChainError> {
    let count = beginning.validators;
    if !(1..=MAX_VALIDATORS).contains(&count) {
        return Err(ChainError::Validators { most: MAX_VALIDATORS, found: count });
    }
    let disk = RealDisk::create(directory).map_err(on_disk("create", directory))?;
    if !disk.list("").map_err(on_disk("list", directory))?.is_empty() {
        return Err(ChainError::Exists { place: directory.to_owned() });
    }
    let secrets = (0..count).map(|_| Secrets::random()).collect::<Result<Vec<_>, _>>()?;
    let identities: Vec<Identity> = secrets.iter().map(Secrets::identity).collect();
    let genesis = genesis(beginning, &secrets, &identities)?;
    for (number, (secrets, identity)) in secrets.iter().zip(identities).enumerate() {
        let place = validator_directory(directory, number);
        let folder = RealDisk::create(&place).map_err(on_disk("create", &place))?;
        wallet::write_private(&folder, "key.new", KEY, secrets.to_text().as_bytes())
            .map_err(on_disk("write a key to", &place))?;
        Validator::create(
            &genesis,
            &files(directory, number)?,
            Some(identity),
            Config::development(),
        )?;
    }
    wallet::write_private(&disk, "genesis.new", GENESIS, &encode(&genesis))
        .map_err(on_disk("write the genesis to", directory))?;
    Ok(genesis)
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
    let genesis = Genesis {
        name: Text::new(name)?,
        time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        protocol: 1,
        parameters: Rising::new(parameters)?,
        accounts: Rising::new(accounts)?,
        validators: Rising::new(validators)?,
    };
    // Before anything is written: parameters may not agree.
    genesis.values()?;
    Ok(genesis)
}

/// Reads the genesis of a chain; others may use the chain meanwhile.
pub fn read_genesis(directory: &Path) -> Result<Genesis, ChainError> {
    if !directory.join(GENESIS).is_file() {
        return Err(ChainError::Missing { place: directory.to_owned() });
    }
    let disk = RealDisk::existing(directory).map_err(on_disk("open", directory))?;
    let bytes = read_all(&disk, GENESIS).map_err(on_disk("read the genesis in", directory))?;
    Ok(Genesis::decode(&bytes)?)
}

/// What an opened directory gives.
pub(super) struct Opened {
    pub(super) genesis: Genesis,
    pub(super) validators: Vec<Validator>,
    pub(super) lock: Box<dyn DiskLock>,
}

/// Opens a chain, and keeps others from it.
pub(super) fn open(directory: &Path) -> Result<Opened, ChainError> {
    let genesis = read_genesis(directory)?;
    let disk = RealDisk::existing(directory).map_err(on_disk("open", directory))?;
    let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => ChainError::InUse { place: directory.to_owned() },
        _ => on_disk("lock", directory)(error),
    })?;
    let mut validators = Vec::new();
    for number in 0..genesis.validators.len() {
        let place = validator_directory(directory, number).join(KEY);
        let text = fs::read_to_string(&place).map_err(on_disk("read", &place))?;
        let secrets =
            Secrets::from_text(&text).map_err(|reason| ChainError::Key { place, reason })?;
        let (files, identity) = (files(directory, number)?, secrets.identity());
        let config = Config::development();
        validators.push(Validator::open(&genesis, &files, Some(identity), config)?);
    }
    Ok(Opened { genesis, validators, lock })
}
