//! Configurations and keys of a network whose nodes are all one's own.
//!
//! ```text
//! genesis                what the chain begins with
//! wallet/main.key        the account that begins with coin
//! nodes/N/node.toml      the configuration of node N
//! nodes/N/network.key    who it is to its peers; private
//! nodes/N/validator.key  its secrets as a validator; private
//! ```

use std::fs;
use std::path::Path;

use chronolith_chain::coin::Amount;
use chronolith_chain::encoding::encode;
use chronolith_chain::genesis::GenesisAccount;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::validator_set::MAX_VALIDATORS;
use chronolith_disk::{Disk, RealDisk};
use chronolith_net::network::NetworkKey;

use super::settings::{ChainSettings, PeerSettings, ValidatorSettings};
use super::{NodeError, NodeSettings};
use crate::chain::{Beginning, Secrets};
use crate::wallet::{self, Wallet};

/// The name of the account that begins with coin.
pub const ACCOUNT: &str = "main";
/// What it begins with.
const FUNDS: Amount = Amount::coins(1_000_000);

/// What a network is made of.
#[derive(Debug, Clone)]
pub struct Testnet {
    /// How many validators it has.
    pub validators: usize,
    /// IP addresses of nodes in their order; the last is that of all further ones.
    pub hosts: Vec<std::net::IpAddr>,
    /// The port of the first node; each further node of the same host has the next.
    pub first_port: u16,
    /// The least time between two blocks, in milliseconds.
    pub interval_ms: u64,
    /// After how long a block is made although there is nothing to commit, in milliseconds.
    pub heartbeat_ms: u64,
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
    let disk = RealDisk::create(directory).map_err(NodeError::disk("create", directory))?;
    if !disk.list("").map_err(NodeError::disk("list", directory))?.is_empty() {
        return Err(NodeError::Exists { place: directory.to_owned() });
    }
    let account = Wallet::at(directory.join("wallet")).create(ACCOUNT)?;
    let secrets = (0..count).map(|_| Secrets::random()).collect::<Result<Vec<_>, _>>()?;
    let identities: Vec<_> = secrets.iter().map(Secrets::identity).collect();
    let accounts = vec![GenesisAccount { address: account.address, balance: FUNDS }];
    let beginning = Beginning {
        name: "testnet".to_owned(),
        validators: count,
        accounts,
        parameters: Vec::new(),
    };
    let genesis = crate::chain::genesis(beginning, &secrets, &identities)?;
    let network_seeds = (0..count).map(|_| wallet::random()).collect::<Result<Vec<_>, _>>()?;
    let addresses = addresses(testnet);
    let known: Vec<String> = addresses
        .iter()
        .zip(&network_seeds)
        .map(|(address, seed)| format!("{address}/p2p/{}", NetworkKey::from_seed(*seed).peer()))
        .collect();
    for (number, (secrets, seed)) in secrets.iter().zip(&network_seeds).enumerate() {
        let place = directory.join("nodes").join(number.to_string());
        let folder = RealDisk::create(&place).map_err(NodeError::disk("create", &place))?;
        let private = |name: &str, content: &str| {
            wallet::write_private(&folder, &format!("{name}.new"), name, content.as_bytes())
                .map_err(NodeError::disk("write a key to", &place))
        };
        private("validator.key", &secrets.to_text())?;
        private("network.key", &format!("{}\n", Hash(*seed)))?;
        let others = known.iter().enumerate().filter(|(other, _)| *other != number);
        let settings = NodeSettings {
            place: place.join("node.toml"),
            chain: ChainSettings {
                genesis: "../../genesis".into(),
                data: "data".into(),
                interval_ms: testnet.interval_ms,
                heartbeat_ms: testnet.heartbeat_ms,
            },
            network: PeerSettings {
                key: "network.key".into(),
                listen: addresses.get(number).cloned().into_iter().collect(),
                known: others.map(|(_, address)| address.clone()).collect(),
                private_addresses: true,
                announcements: "announcements".into(),
                connections_per_source: 2 * MAX_VALIDATORS as u32,
            },
            validator: Some(ValidatorSettings {
                key: "validator.key".into(),
                guard: "guard".into(),
            }),
        };
        fs::write(&settings.place, settings.to_text())
            .map_err(NodeError::disk("write", &settings.place))?;
    }
    let place = directory.join("genesis");
    fs::write(&place, encode(&genesis)).map_err(NodeError::disk("write", &place))?;
    Ok(genesis.chain_id())
}

/// Where each node listens.
fn addresses(testnet: &Testnet) -> Vec<String> {
    let host_of = |number: usize| testnet.hosts.get(number).or(testnet.hosts.last());
    (0..testnet.validators)
        .filter_map(|number| {
            let host = host_of(number)?;
            let before = (0..number).filter(|other| host_of(*other) == Some(host)).count();
            let port = testnet.first_port.saturating_add(u16::try_from(before).unwrap_or(u16::MAX));
            let family = if host.is_ipv4() { "ip4" } else { "ip6" };
            Some(format!("/{family}/{host}/tcp/{port}"))
        })
        .collect()
}
