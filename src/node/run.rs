//! Running a node.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_chain::consensus::{Config, ConsensusError, Files, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_disk::{Disk, DiskLock, RealDisk};
use chronolith_net::network::{KnownPeer, NetworkKey, NetworkLimits, NetworkSettings};
use chronolith_net::validator::{ChainInbox, ChainNode, Told};

use super::service::NodeService;
use super::{NodeError, NodeSettings};
use crate::chain::Secrets;
use crate::wallet::secret_of;

/// The file that keeps other processes away.
const LOCK: &str = "lock";
/// The largest genesis that is read: bytes.
const GENESIS_MOST: u64 = 64 << 20;

/// A node that runs; it stops when this is dropped.
pub struct RunningNode {
    chain: ChainNode,
    _lock: Box<dyn DiskLock>,
}

impl RunningNode {
    /// Whether it ended by itself; [`RunningNode::stop`] says why.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.chain.has_ended()
    }

    /// Stops it.
    ///
    /// # Errors
    /// What had ended it before.
    pub fn stop(self) -> Result<(), ConsensusError> {
        self.chain.stop()
    }
}

/// Reads the genesis that a configuration names.
pub(super) fn genesis(settings: &NodeSettings) -> Result<Genesis, NodeError> {
    let place = settings.path(&settings.chain.genesis);
    let length = fs::metadata(&place).map_err(NodeError::disk("read", &place))?.len();
    if length > GENESIS_MOST {
        let reason = format!("{} has {length} bytes, which is no genesis", place.display());
        return Err(NodeError::Settings { place: settings.place.clone(), reason });
    }
    Ok(Genesis::decode(&fs::read(&place).map_err(NodeError::disk("read", &place))?)?)
}

/// Reads a network's key.
pub(super) fn network_key(settings: &NodeSettings) -> Result<NetworkKey, NodeError> {
    let place = settings.path(&settings.network.key);
    let text = fs::read_to_string(&place).map_err(NodeError::disk("read", &place))?;
    let seed =
        secret_of(&text).map_err(|error| NodeError::Key { place, reason: error.to_string() })?;
    Ok(NetworkKey::from_seed(seed))
}

fn validator_secrets(place: &Path) -> Result<Secrets, NodeError> {
    let text = fs::read_to_string(place).map_err(NodeError::disk("read", place))?;
    let place = place.to_owned();
    Secrets::from_text(&text).map_err(|reason| NodeError::Key { place, reason })
}

fn folder(place: &PathBuf) -> Result<Arc<RealDisk>, NodeError> {
    RealDisk::create(place).map(Arc::new).map_err(NodeError::disk("create", place))
}

/// Starts a node. `told` hears what happens, on the chain's thread.
///
/// # Errors
/// What is missing or wrong.
pub fn start(
    settings: &NodeSettings,
    told: impl FnMut(Told) + Send + 'static,
) -> Result<RunningNode, NodeError> {
    let genesis = genesis(settings)?;
    let network = network(settings, &genesis)?;
    let data = settings.path(&settings.chain.data);
    let disk = folder(&data)?;
    let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => NodeError::InUse { place: data.clone() },
        _ => NodeError::disk("lock", &data)(error),
    })?;
    let (guard, identity) = match &settings.validator {
        None => (Arc::clone(&disk), None),
        Some(validator) => {
            let secrets = validator_secrets(&settings.path(&validator.key))?;
            (folder(&settings.path(&validator.guard))?, Some(secrets.identity()))
        }
    };
    let files = Files { data: disk, guard, guard_path: "signed".to_owned() };
    let config = Config {
        interval_ms: settings.chain.interval_ms,
        heartbeat_ms: Some(settings.chain.heartbeat_ms),
        ..Config::default()
    };
    let validator = Validator::create(&genesis, &files, identity, config)?;
    let inbox = ChainInbox::default();
    let service = Arc::new(NodeService::new(inbox.handle()));
    let chain = ChainNode::start(inbox, validator, network, Arc::clone(&service) as Arc<_>, told)?;
    service.connect(chain.network());
    Ok(RunningNode { chain, _lock: lock })
}

fn network(settings: &NodeSettings, genesis: &Genesis) -> Result<NetworkSettings, NodeError> {
    let told = &settings.network;
    let mut network = NetworkSettings::new(network_key(settings)?, genesis.chain_id());
    for text in &told.listen {
        network.listen.push(text.parse().map_err(|_| NodeError::Listen(text.clone()))?);
    }
    for text in &told.known {
        network.known.push(text.parse::<KnownPeer>()?);
    }
    network.allows_private_addresses = told.private_addresses;
    let announcements = settings.path(&told.announcements);
    fs::create_dir_all(&announcements).map_err(NodeError::disk("create", &announcements))?;
    network.directory = Some(announcements);
    let connections_per_source = told.connections_per_source;
    network.limits = NetworkLimits { connections_per_source, ..NetworkLimits::default() };
    Ok(network)
}
