//! Running a node.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronolith_chain::consensus::Output;
use chronolith_chain::consensus::snapshot::SnapshotShelf;
use chronolith_chain::consensus::{Config, ConsensusError, Files, Validator};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::state::MAX_CHUNK_BYTES;
use chronolith_disk::{Disk, DiskLock, RealDisk};
use chronolith_net::audit::KeptAnswers;
use chronolith_net::network::{
    NetworkHandle, NetworkKey, NetworkLimits, NetworkSettings, Reachable, RelayLimits,
};
use chronolith_net::snapshot::{SnapshotMaker, SnapshotServer};
use chronolith_net::store::FragmentStore;
use chronolith_net::validator::{ChainHandle, ChainInbox, ChainNode, Told};

use super::account::Account;
use super::auditor::Auditor;
use super::duties::{Duties, DutiesInbox, Roles};
use super::event::{Listener, NodeEvent};
use super::intake::Intake;
use super::join::join;
use super::keeper::Keeper;
use super::lease_lists::LeaseLists;
use super::repairer::Repairer;
use super::service::NodeService;
use super::settings::StorageSettings;
use super::{NodeError, NodeLink, NodeSettings};
use crate::chain::Secrets;
use crate::wallet::{read_private, secret_of};

/// The file that keeps other processes away.
const LOCK: &str = "lock";
/// What is allowed on disk beyond what is offered and an eighth of it: bytes.
const QUOTA_MORE_BYTES: u64 = 64 << 20;
/// The folder of the answers to audits, in that of the chain's data.
const ANSWERS: &str = "answers";
/// The largest genesis that is read: bytes.
const GENESIS_MOST: u64 = 64 << 20;

/// A node that runs; it stops when this is dropped.
pub struct RunningNode {
    /// Before the chain, which they ask.
    _duties: Duties,
    _snapshots: Option<SnapshotMaker>,
    chain: ChainNode,
    link: NodeLink,
    _lock: Box<dyn DiskLock>,
}

impl RunningNode {
    /// Whether it ended by itself; [`RunningNode::stop`] says why.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.chain.has_ended()
    }

    /// What others of the process ask it by.
    #[must_use]
    pub fn link(&self) -> NodeLink {
        self.link.clone()
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

fn seed(place: PathBuf) -> Result<[u8; 32], NodeError> {
    let text = read_private(&place)?;
    secret_of(&text).map_err(|error| NodeError::Key { place, reason: error.to_string() })
}

/// Reads a network's key.
pub(super) fn network_key(settings: &NodeSettings) -> Result<NetworkKey, NodeError> {
    Ok(NetworkKey::from_seed(seed(settings.path(&settings.network.key))?))
}

/// Reads the account of a storage role.
pub(super) fn storage_account(
    settings: &NodeSettings,
    storage: &StorageSettings,
) -> Result<Account, NodeError> {
    Ok(Account::new(seed(settings.path(&storage.key))?))
}

fn validator_secrets(place: &Path) -> Result<Secrets, NodeError> {
    let text = read_private(place)?;
    let place = place.to_owned();
    Secrets::from_text(&text).map_err(|reason| NodeError::Key { place, reason })
}

fn folder(place: &PathBuf) -> Result<Arc<RealDisk>, NodeError> {
    RealDisk::create(place).map(Arc::new).map_err(NodeError::disk("create", place))
}

/// Starts a node. `tell` hears what happens, on whichever thread it happens.
///
/// # Errors
/// What is missing or wrong.
pub fn start(
    settings: &NodeSettings,
    tell: impl Fn(NodeEvent) + Send + Sync + 'static,
) -> Result<RunningNode, NodeError> {
    let tell: Listener = Arc::new(tell);
    let genesis = genesis(settings)?;
    let network = network(settings, &genesis)?;
    let data = settings.path(&settings.chain.data);
    let disk = folder(&data)?;
    let lock = disk.lock(LOCK).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => NodeError::InUse { place: data.clone() },
        _ => NodeError::disk("lock", &data)(error),
    })?;
    let (guard, secrets) = match &settings.validator {
        None => (Arc::clone(&disk), None),
        Some(validator) => {
            let secrets = validator_secrets(&settings.path(&validator.key))?;
            (folder(&settings.path(&validator.guard))?, Some(secrets))
        }
    };
    join(settings, &genesis, &(Arc::clone(&disk) as Arc<dyn Disk>), &tell)?;
    let files =
        Files { data: Arc::clone(&disk) as Arc<dyn Disk>, guard, guard_path: "signed".to_owned() };
    let config = Config {
        interval_ms: settings.chain.interval_ms,
        heartbeat_ms: Some(settings.chain.heartbeat_ms),
        ..Config::default()
    };
    let identity = secrets.as_ref().map(Secrets::identity);
    let validator = Validator::create(&genesis, &files, identity, config)?;
    let (inbox, duties) = (ChainInbox::default(), DutiesInbox::default());
    let answers = Arc::new(KeptAnswers::new(folder(&data.join(ANSWERS))?));
    let (server, snapshots) = snapshots(settings, &inbox, disk, &tell)?;
    let service = Arc::new(NodeService::new(inbox.handle(), Arc::clone(&answers), server));
    let storage = settings.storage.as_ref().map(|storage| open_storage(settings, storage));
    let storage = storage.transpose()?;
    let told = {
        let (tell, duties) = (Arc::clone(&tell), duties.handle());
        let committed = snapshots.as_ref().map(SnapshotMaker::committed);
        move |told: Told| match told {
            Told::Answer(answer) => duties.answer(answer),
            told => {
                if let Told::Output(Output::Committed { decided, .. }) = &told {
                    let height = decided.block.header.height;
                    duties.committed(height);
                    if let Some(committed) = &committed {
                        committed(height);
                    }
                }
                tell(NodeEvent::Chain(told));
            }
        }
    };
    let chain = ChainNode::start(inbox, validator, network, Arc::clone(&service) as Arc<_>, told)?;
    let (handle, network) = (chain.handle(), chain.network());
    let (intake, lists) = match storage {
        Some(storage) => {
            let (intake, lists) = storage.intake(&handle, &network, &tell);
            (Some(intake), Some(lists))
        }
        None => (None, None),
    };
    let roles = Roles {
        auditor: Auditor::new(
            handle,
            network.clone(),
            secrets.map(|secrets| Account::new(secrets.account_seed())),
            answers,
            tell,
        ),
        keeper: intake.clone().map(Keeper::new),
        repairer: intake.clone().zip(lists).map(|(intake, lists)| Repairer::new(intake, lists)),
    };
    let account = intake.as_ref().map(|intake| intake.account.address);
    service.connect(network, intake);
    let link = NodeLink::new(chain.handle(), service, account);
    let duties =
        Duties::start(duties, roles).map_err(NodeError::disk("start a thread for", &data))?;
    Ok(RunningNode { _duties: duties, _snapshots: snapshots, chain, link, _lock: lock })
}

/// What serves snapshots, and what makes them, where the configuration wants any.
fn snapshots(
    settings: &NodeSettings,
    inbox: &ChainInbox,
    disk: Arc<dyn Disk>,
    tell: &Listener,
) -> Result<(Option<SnapshotServer>, Option<SnapshotMaker>), NodeError> {
    let Some(every_blocks) = NonZeroU64::new(settings.chain.snapshot_blocks) else {
        return Ok((None, None));
    };
    let shelf = Arc::new(SnapshotShelf::open(disk)?);
    let (tell, data) = (Arc::clone(tell), settings.path(&settings.chain.data));
    let told = move |made| tell(NodeEvent::Made(made));
    let (chain, of) = (inbox.handle(), Arc::clone(&shelf));
    let maker = SnapshotMaker::start(chain, of, every_blocks, MAX_CHUNK_BYTES, told)
        .map_err(NodeError::disk("start a thread for", data))?;
    Ok((Some(SnapshotServer::new(shelf, inbox.handle())), Some(maker)))
}

/// What a storage role has on disk.
struct Storage {
    account: Account,
    store: Arc<FragmentStore>,
    lists: LeaseLists,
}

fn open_storage(settings: &NodeSettings, storage: &StorageSettings) -> Result<Storage, NodeError> {
    let account = storage_account(settings, storage)?;
    let place = settings.path(&storage.fragments);
    // Files take more room than the blocks in them, by which the ledger counts.
    let quota =
        storage.capacity_bytes.saturating_add(storage.capacity_bytes / 8 + QUOTA_MORE_BYTES);
    let store = Arc::new(FragmentStore::open(folder(&place)?, quota)?);
    let place = place.with_extension("leases");
    let lists = LeaseLists::open(folder(&place)?).map_err(NodeError::disk("read", &place))?;
    Ok(Storage { account, store, lists })
}

impl Storage {
    fn intake(
        self,
        chain: &ChainHandle,
        network: &NetworkHandle,
        tell: &Listener,
    ) -> (Intake, LeaseLists) {
        let Self { account, store, lists } = self;
        let (chain, network, tell) = (chain.clone(), network.clone(), Arc::clone(tell));
        let (consenting, upkeep, touched) = Default::default();
        (Intake { account, chain, network, store, tell, consenting, upkeep, touched }, lists)
    }
}

fn network(settings: &NodeSettings, genesis: &Genesis) -> Result<NetworkSettings, NodeError> {
    let told = &settings.network;
    let mut network = NetworkSettings::new(network_key(settings)?, genesis.chain_id());
    for text in &told.listen {
        network.listen.push(text.parse().map_err(|_| NodeError::Listen(text.clone()))?);
    }
    network.known = settings.known()?;
    network.reachable = match told.reachable {
        Some(true) => Reachable::Yes,
        None if !network.listen.is_empty() => Reachable::Unknown,
        Some(false) | None => Reachable::No,
    };
    network.relay = told.relay.then(RelayLimits::default);
    network.allows_private_addresses = told.private_addresses;
    let announcements = settings.path(&told.announcements);
    fs::create_dir_all(&announcements).map_err(NodeError::disk("create", &announcements))?;
    network.directory = Some(announcements);
    let connections_per_source = told.connections_per_source;
    network.limits = NetworkLimits { connections_per_source, ..NetworkLimits::default() };
    Ok(network)
}
