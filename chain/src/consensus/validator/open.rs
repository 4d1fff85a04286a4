//! Making a chain's files, and opening them after whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use chronolith_disk::Disk;

use super::catch_up::Neighbours;
use super::future::Future;
use super::propose::Candidates;
use super::{Config, Now, Phase, Validator};
use crate::block::{InvalidBlock, Tip};
use crate::consensus::beacon::BeaconChain;
use crate::consensus::core::{Core, CoreFailure};
use crate::consensus::guard::{GuardError, SignGuard};
use crate::consensus::log::{HeightLog, LogError};
use crate::consensus::signatures::VerifiedSignatures;
use crate::consensus::snapshot::{JoinError, Joining};
use crate::consensus::store::{BlockStore, StoreError};
use crate::genesis::{Genesis, GenesisError};
use crate::keys::{PublicKey, SecretKey};
use crate::ledger::Validators;
use crate::mempool::Mempool;
use crate::state::{State, StateError};
use crate::validator_set::{ValidatorSet, ValidatorSetError};

/// The file of the state.
pub(in crate::consensus) const STATE: &str = "state.redb";
/// The file of the blocks.
pub(in crate::consensus) const BLOCKS: &str = "blocks.redb";
const LOG: &str = "height.log";

/// Where a node keeps its files.
#[derive(Clone)]
pub struct Files {
    /// The folder of state, blocks and log.
    pub data: Arc<dyn Disk>,
    /// The folder of the sign guard: best one that is not put back together with the data.
    pub guard: Arc<dyn Disk>,
    /// The name of the guard's file.
    pub guard_path: String,
}

/// Who a validator is.
pub struct Identity {
    /// The key that signs in consensus.
    pub key: SecretKey,
    /// The hash chain whose end is on the ledger.
    pub beacon: BeaconChain,
}

/// Why consensus cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsensusError {
    /// It ended already.
    #[error("consensus ended on this node; open it again")]
    Stopped,
    /// The genesis makes no chain.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The validators of the state are no set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The blocks cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log of the height cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sign guard cannot work.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The core cannot go on.
    #[error(transparent)]
    Core(#[from] CoreFailure),
    /// A committed block cannot be executed here.
    #[error("the committed block of height {height} cannot be executed: {reason}")]
    Committed {
        /// The height.
        height: u64,
        /// Why.
        reason: Box<InvalidBlock>,
    },
    /// The state is newer than the blocks.
    #[error(
        "the state is of height {state}, the last block of {blocks}: put the blocks back, too, or \
         begin with neither"
    )]
    Behind {
        /// The height of the state.
        state: u64,
        /// The height of the last block.
        blocks: u64,
    },
    /// The block that follows the state is not kept.
    #[error("the block of height {height}, which the state needs next, is not kept")]
    Pruned {
        /// The height.
        height: u64,
    },
    /// A snapshot is being fetched into the folder.
    #[error("a snapshot is being fetched into this folder: go on with it, or abandon it")]
    Joining,
    /// It cannot be seen whether a snapshot is being fetched.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The files are of another chain.
    #[error("the files are of another chain than the genesis")]
    OtherChain,
}

impl Validator {
    /// Makes the files of a chain and opens them. A guard that is there stays as it is, and so does a chain,
    /// also one that begins at a [snapshot](Joining).
    pub fn create(
        genesis: &Genesis,
        files: &Files,
        identity: Option<Identity>,
        config: Config,
    ) -> Result<Self, ConsensusError> {
        let disk = files.data.as_ref();
        let tip = Tip::genesis(genesis);
        if Joining::is_under_way(disk)? {
            return Err(ConsensusError::Joining);
        }
        if let Some(identity) = &identity {
            let (guard, path) = (files.guard.as_ref(), files.guard_path.as_str());
            match SignGuard::create(guard, path, identity.key.public(), tip.chain) {
                Ok(_) | Err(GuardError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Every file is there as a whole or not at all; what an earlier attempt made is kept.
        match State::create(disk, STATE, 0, genesis.values()?, config.state) {
            Ok(_) | Err(StateError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match BlockStore::create(disk, BLOCKS, tip, &genesis.validator_set()?) {
            Ok(_) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Self::open(genesis, files, identity, config)
    }

    /// Opens the files of a chain.
    ///
    /// # Errors
    /// Where something is missing or damaged; the message says what and what to do.
    pub fn open(
        genesis: &Genesis,
        files: &Files,
        identity: Option<Identity>,
        config: Config,
    ) -> Result<Self, ConsensusError> {
        let disk = files.data.as_ref();
        let chain = genesis.chain_id();
        let store = BlockStore::open(disk, BLOCKS)?;
        if store.tip().chain != chain {
            return Err(ConsensusError::OtherChain);
        }
        let mut state = State::open(disk, STATE, config.state)?;
        follow(&store, &mut state)?;
        let tip = store.tip().clone();
        let Validators { last, next } = Validators::of(&state)?;
        let set = ValidatorSet::from_seats(&next)?;
        let last_certificate = store.step(tip.height)?.map(|step| step.certificate);
        if let Some(certificate) = &last_certificate {
            // It goes into the next block, and is not verified there again.
            certificate.verify(&ValidatorSet::from_seats(&last)?, chain).map_err(|reason| {
                let (height, reason) = (tip.height, Box::new(reason.into()));
                ConsensusError::Committed { height, reason }
            })?;
        }
        let guard = match &identity {
            Some(identity) => {
                let (guard, path) = (files.guard.as_ref(), files.guard_path.as_str());
                Some(SignGuard::open(guard, path, identity.key.public(), chain)?)
            }
            None => None,
        };
        let (log, unreplayed) = HeightLog::open(disk, LOG, tip.height.saturating_add(1))?;
        let key = identity.as_ref().map_or(PublicKey::default(), |own| own.key.public());
        Ok(Self {
            chain,
            config,
            identity,
            key,
            state,
            store,
            log,
            guard,
            unreplayed,
            core: Core::new(chain, key, &set),
            set,
            tip,
            last_certificate,
            phase: Phase::Waiting,
            since_ns: None,
            timers: BTreeMap::new(),
            wanted_round: None,
            own_proposal: None,
            lock: None,
            candidates: Candidates::default(),
            future: Future::default(),
            signatures: VerifiedSignatures::default(),
            mempool: Mempool::new(chain, config.mempool),
            evidence: Vec::new(),
            neighbours: Neighbours::default(),
            stands_aside_until: 0,
            recorded: Vec::new(),
            now: Now { elapsed_ns: 0, time_ns: 0 },
            outputs: Vec::new(),
            must_sync: false,
            stopped: false,
        })
    }
}

/// Executes what is in the store and not in the state: at most one block after a power cut, more
/// where an older state was put back.
fn follow(store: &BlockStore, state: &mut State) -> Result<(), ConsensusError> {
    let blocks = store.tip().height;
    loop {
        let version = state.head().version;
        if version > blocks {
            return Err(ConsensusError::Behind { state: version, blocks });
        }
        if version == blocks {
            return Ok(());
        }
        let height = version + 1;
        let (tip, decided) = (store.tip_at(version)?, store.block(height)?);
        let (Some(tip), Some(decided)) = (tip, decided) else {
            return Err(ConsensusError::Pruned { height });
        };
        let executed = decided
            .block
            .check(&tip, state)
            .map_err(|reason| ConsensusError::Committed { height, reason: Box::new(reason) })?;
        state.commit(executed.prepared)?;
    }
}
