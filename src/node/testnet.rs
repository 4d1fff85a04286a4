//! Configurations and keys of a network whose nodes are all one's own.
//!
//! ```text
//! genesis                what the chain begins with
//! wallet/main.key        the account that begins with coin
//! wallet/buyer.key       an account that begins with coin, to buy with
//! wallet/producer-N.key  the account of producer N, which anchors and pays
//! nodes/N/node.toml      the configuration of node N
//! nodes/N/network.key    who it is to its peers; private
//! nodes/N/fleet.db       the database of a producer, with its keystore fleet.db.keys beside it
//! nodes/N/validator.key  its secrets as a validator; private
//! ```

#[cfg(unix)]
pub mod processes;

use std::fs;
use std::path::Path;

use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::encode;
use chronolith_chain::genesis::GenesisAccount;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::ParameterChange;
use chronolith_chain::validator_set::MAX_VALIDATORS;
use chronolith_disk::{Disk, RealDisk};
use chronolith_engine::{Db, Maintenance, Options};
use chronolith_fragment::Profile;
use chronolith_net::network::NetworkKey;

use super::settings::{
    ChainSettings, DatabaseSettings, PeerSettings, StorageSettings, ValidatorSettings,
};
use super::{NodeError, NodeSettings, ProducingSettings, SellingSettings};
use crate::chain::{Beginning, Secrets};
use crate::http::HttpSettings;
use crate::keys::{self, KeysFile};
use crate::market::policy::Policy;
use crate::wallet::{self, Wallet, WalletError};

/// The name of the account that begins with coin.
pub const ACCOUNT: &str = "main";
/// The name of an account to buy with.
pub const BUYER: &str = "buyer";
/// What the first begins with.
const FUNDS: Amount = Amount::coins(1_000_000);
/// What the account of a validator begins with, beside its bond: fees for what it attests.
const VALIDATOR_FUNDS: Amount = Amount::coins(100);
/// What the account of a storage peer begins with: its bond and fees.
const STORAGE_FUNDS: Amount = Amount::coins(1_000);
/// What the account of a buyer begins with.
const BUYER_FUNDS: Amount = Amount::coins(10_000);
/// What the account of a producer begins with.
const PRODUCER_FUNDS: Amount = Amount::coins(10_000);
/// For how many epochs producers have packs kept.
const LEASE_EPOCHS: u64 = 1_000;
/// The most storage peers of one network, and the most producers.
const STORAGE_MOST: usize = 256;

/// What storage peers ask for a GiB and an epoch.
const PRICE_PER_GIB: &str = "0.01";
/// The database of a producer, in the folder of its node.
const DATABASE: &str = "fleet.db";
/// In how many regions they say they are.
const REGIONS: usize = 4;

/// What a network is made of.
#[derive(Debug, Clone)]
pub struct Testnet {
    /// How many validators it has.
    pub validators: usize,
    /// How many storage peers it has, which are further nodes.
    pub storage: usize,
    /// How many producers it has: further nodes, each with a database that is served over HTTP.
    pub producers: usize,
    /// The port of HTTP of the first producer; each further one has the next.
    pub http_port: u16,
    /// How many bytes each storage peer offers.
    pub capacity_bytes: u64,
    /// Parameters of the chain that are not what they are by default.
    pub parameters: Vec<ParameterChange>,
    /// IP addresses of nodes in their order; the last is that of all further ones.
    pub hosts: Vec<std::net::IpAddr>,
    /// The port of the first node; each further node of the same host has the next.
    pub first_port: u16,
    /// The least time between two blocks, in milliseconds.
    pub interval_ms: u64,
    /// After how long a block is made although there is nothing to commit, in milliseconds.
    pub heartbeat_ms: u64,
    /// Each node makes a snapshot for others at every height that this divides; 0 for none.
    pub snapshot_blocks: u64,
}

/// Makes the files of a network in an empty directory.
///
/// # Errors
/// [`NodeError::Exists`] where the directory is not empty; whatever the disk says.
pub fn create(directory: &Path, testnet: &Testnet) -> Result<ChainId, NodeError> {
    let count = testnet.validators;
    if !(1..=MAX_VALIDATORS).contains(&count) || testnet.hosts.is_empty() {
        return Err(NodeError::Count { most: MAX_VALIDATORS, found: count });
    }
    for found in [testnet.storage, testnet.producers] {
        if found > STORAGE_MOST {
            return Err(NodeError::Count { most: STORAGE_MOST, found });
        }
    }
    let disk = RealDisk::create(directory).map_err(NodeError::disk("create", directory))?;
    if !disk.list("").map_err(NodeError::disk("list", directory))?.is_empty() {
        return Err(NodeError::Exists { place: directory.to_owned() });
    }
    let wallet = Wallet::at(directory.join("wallet"));
    let account = wallet.create(ACCOUNT)?;
    let buyer = wallet.create(BUYER)?;
    let producers = (0..testnet.producers).map(|number| wallet.create(&producer_account(number)));
    let producers = producers.collect::<Result<Vec<_>, _>>()?;
    let secrets = (0..count).map(|_| Secrets::random()).collect::<Result<Vec<_>, _>>()?;
    let identities: Vec<_> = secrets.iter().map(Secrets::identity).collect();
    let storage_seeds = random_seeds(testnet.storage)?;
    let mut accounts = vec![
        GenesisAccount { address: account.address, balance: FUNDS },
        GenesisAccount { address: buyer.address, balance: BUYER_FUNDS },
    ];
    accounts.extend(
        producers
            .iter()
            .map(|producer| GenesisAccount { address: producer.address, balance: PRODUCER_FUNDS }),
    );
    let validators = secrets.iter().map(Secrets::address);
    accounts.extend(validators.map(|address| GenesisAccount { address, balance: VALIDATOR_FUNDS }));
    accounts.extend(storage_seeds.iter().map(|seed| GenesisAccount {
        address: SecretKey::from_seed(seed).public().into(),
        balance: STORAGE_FUNDS,
    }));
    let beginning = Beginning {
        name: "testnet".to_owned(),
        validators: count,
        accounts,
        parameters: testnet.parameters.clone(),
    };
    let genesis = crate::chain::genesis(beginning, &secrets, &identities)?;
    let network_seeds = random_seeds(count + testnet.storage + testnet.producers)?;
    let addresses = addresses(testnet);
    let known: Vec<String> = addresses
        .iter()
        .zip(&network_seeds)
        .map(|(address, seed)| format!("{address}/p2p/{}", NetworkKey::from_seed(*seed).peer()))
        .collect();
    for (number, seed) in network_seeds.iter().enumerate() {
        let secrets = secrets.get(number);
        let storage_seed = number.checked_sub(count).and_then(|at| storage_seeds.get(at));
        let place = directory.join("nodes").join(number.to_string());
        let folder = RealDisk::create(&place).map_err(NodeError::disk("create", &place))?;
        let private = |name: &str, content: &str| {
            wallet::write_private(&folder, &format!("{name}.new"), name, content.as_bytes())
                .map_err(NodeError::disk("write a key to", &place))
        };
        if let Some(secrets) = secrets {
            private("validator.key", &secrets.to_text())?;
        }
        if let Some(seed) = storage_seed {
            private("storage.key", &format!("{}\n", Hash(*seed)))?;
        }
        private("network.key", &format!("{}\n", Hash(*seed)))?;
        let producer = number.checked_sub(count + testnet.storage);
        // Validators are known to all; of storage peers, each knows the one before.
        let is_known = |other: usize| other < count || other + 1 == number;
        let others = known.iter().enumerate();
        let others = others.filter(|(other, _)| *other != number && is_known(*other));
        let settings = NodeSettings {
            place: place.join("node.toml"),
            chain: ChainSettings {
                genesis: "../../genesis".into(),
                data: "data".into(),
                interval_ms: testnet.interval_ms,
                heartbeat_ms: testnet.heartbeat_ms,
                snapshot: None,
                trust: None,
                snapshot_blocks: testnet.snapshot_blocks,
            },
            network: PeerSettings {
                key: "network.key".into(),
                listen: addresses.get(number).cloned().into_iter().collect(),
                known: others.map(|(_, address)| address.clone()).collect(),
                // They are dialled where they say that they are.
                reachable: Some(true),
                relay: false,
                private_addresses: true,
                announcements: "announcements".into(),
                connections_per_source: 2 * (MAX_VALIDATORS + 2 * STORAGE_MOST) as u32,
            },
            validator: secrets
                .map(|_| ValidatorSettings { key: "validator.key".into(), guard: "guard".into() }),
            storage: storage_seed.map(|_| StorageSettings {
                key: "storage.key".into(),
                fragments: "fragments".into(),
                capacity_bytes: testnet.capacity_bytes,
                price_per_gib: PRICE_PER_GIB.to_owned(),
                address: None,
                region: format!("region-{}", number % REGIONS),
            }),
            database: producer.map(|_| DatabaseSettings {
                path: DATABASE.into(),
                seal_interval_s: 1,
                lateness_s: 300,
            }),
            http: producer.map(|at| HttpSettings {
                listen: http_address(testnet, at),
                ..HttpSettings::default()
            }),
            #[cfg(feature = "mqtt")]
            mqtt: None,
            producer: producer.map(|at| ProducingSettings {
                wallet: "../../wallet".into(),
                account: producer_account(at),
                packs: "packs".into(),
                profile: profile(testnet.storage).name().to_owned(),
                epochs: LEASE_EPOCHS,
                price: None,
                // What is sealed is to be seen elsewhere at once.
                patience_hours: 0,
                every_s: 2,
                deadline_s: 600,
            }),
            market: producer.map(|at| SellingSettings {
                wallet: "../../wallet".into(),
                account: producer_account(at),
                policy: Policy { levels: vec![2, 3, 4], ..Policy::default() },
                contracts: Vec::new(),
                webhooks: Default::default(),
                incoming: Default::default(),
                questions: Vec::new(),
                lists: Default::default(),
                purposes: Default::default(),
                notes: "notes".into(),
                packs: None,
                every_s: 1,
                deadline_s: 600,
            }),
        };
        if let Some(at) = producer {
            make_database(&place.join(DATABASE), &producer_account(at))?;
        }
        fs::write(&settings.place, settings.to_text())
            .map_err(NodeError::disk("write", &settings.place))?;
    }
    let place = directory.join("genesis");
    fs::write(&place, encode(&genesis)).map_err(NodeError::disk("write", &place))?;
    Ok(genesis.chain_id())
}

/// An empty database with keys that need no passphrase: nodes of a testnet start without anybody.
fn make_database(place: &Path, account: &str) -> Result<(), NodeError> {
    let failed = |reason: &dyn std::fmt::Display| NodeError::Settings {
        place: place.to_owned(),
        reason: reason.to_string(),
    };
    let options = Options { maintenance: Maintenance::Manual, ..Options::default() };
    let db = Db::open(place, options).map_err(|error| failed(&error))?;
    db.close().map_err(|error| failed(&error))?;
    let file = KeysFile {
        keystore: format!("../{DATABASE}.keys").into(),
        wallet: "../../../wallet".into(),
        account: account.to_owned(),
        passphrase_file: None,
        devices: Default::default(),
    };
    keys::create(place, &file, None).map_err(|error| failed(&error)).map(drop)
}

fn producer_account(number: usize) -> String {
    format!("producer-{number}")
}

fn http_address(testnet: &Testnet, producer: usize) -> String {
    let more = u16::try_from(producer).unwrap_or(u16::MAX);
    format!("127.0.0.1:{}", testnet.http_port.saturating_add(more))
}

/// The widest way of cutting packs that so many peers can keep.
fn profile(storage: usize) -> Profile {
    match storage {
        ..30 => Profile::Lab,
        30..96 => Profile::Standard,
        _ => Profile::Wide,
    }
}

fn random_seeds(count: usize) -> Result<Vec<[u8; 32]>, WalletError> {
    (0..count).map(|_| wallet::random()).collect()
}

/// Where each node listens.
fn addresses(testnet: &Testnet) -> Vec<String> {
    let host_of = |number: usize| testnet.hosts.get(number).or(testnet.hosts.last());
    (0..testnet.validators + testnet.storage + testnet.producers)
        .filter_map(|number| {
            let host = host_of(number)?;
            let before = (0..number).filter(|other| host_of(*other) == Some(host)).count();
            let port = testnet.first_port.saturating_add(u16::try_from(before).unwrap_or(u16::MAX));
            let family = if host.is_ipv4() { "ip4" } else { "ip6" };
            Some(format!("/{family}/{host}/tcp/{port}"))
        })
        .collect()
}
