//! The chain that is simulated: its genesis, its keys, and how its nodes are configured.

use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};

use super::config::Config;
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::consensus::{self, BeaconChain, ConsensusError, Files, Identity, Timeouts, Validator};
use crate::encoding::{Bytes, Rising, Text, TooLong};
use crate::genesis::{Genesis, GenesisAccount, GenesisValidator};
use crate::hash::ChainId;
use crate::keys::SecretKey;
use crate::ledger::{Action, ParameterChange, ParameterName, Parameters, Transfer, least_fee};
use crate::mempool::Limits;
use crate::state::Options;
use crate::transaction::{Body, Transaction};

/// When runs begin, in milliseconds since the epoch.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// How far honest clocks are apart at most, in milliseconds.
pub(super) const PRECISION_MS: u64 = 500;
/// How many accounts pay each other, besides those of the validators.
const PAYERS: usize = 8;
/// How many blocks of its own each validator can reveal a beacon in.
const BEACONS: u32 = 200;
/// The shortest term there can be, so that terms change in every run.
const TERM_BLOCKS: u128 = 10;

/// Why nothing can be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The number of validators is outside its bounds.
    #[error("{found} validators cannot be simulated; at least 1 and at most {most}")]
    Validators {
        /// How many were asked for.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Nobody honest is left.
    #[error("{found} of {validators} validators are Byzantine; one must be honest")]
    Byzantine {
        /// How many should be Byzantine.
        found: usize,
        /// Of how many.
        validators: usize,
    },
    /// The genesis is not one.
    #[error("the genesis of the simulation is too large: {0}")]
    Genesis(#[from] TooLong),
    /// A node cannot be made.
    #[error("a node of the simulation cannot begin: {0}")]
    Node(#[from] ConsensusError),
    /// The checker has no chain to check.
    #[error("the checker of the simulation cannot begin: {0}")]
    Checker(#[from] super::CheckerError),
}

/// What all runs of a campaign have in common.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) genesis: Genesis,
    pub(super) chain: ChainId,
    pub(super) node: consensus::Config,
    /// The disk of each node as it is at the beginning.
    disks: Vec<SimDisk>,
    /// The parameters that fees are reckoned by.
    fee_parameters: Parameters,
}

fn seed(kind: u8, number: usize) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    seed
}

/// The key that signs for a validator in consensus.
pub(super) fn consensus_key(node: usize) -> SecretKey {
    SecretKey::from_seed(&seed(1, node))
}

/// The key of an account: first those of the validators, then the payers.
pub(super) fn account_key(number: usize) -> SecretKey {
    SecretKey::from_seed(&seed(2, number))
}

fn beacon(node: usize) -> BeaconChain {
    BeaconChain::new(&seed(3, node), BEACONS)
}

/// Who a validator is.
pub(super) fn identity(node: usize) -> Identity {
    Identity { key: consensus_key(node), beacon: beacon(node) }
}

/// Where a node keeps everything, on one disk, so that all of it loses power together.
pub(super) fn files(disk: &SimDisk) -> Files {
    let disk = Arc::new(disk.clone()) as Arc<dyn Disk>;
    Files { data: Arc::clone(&disk), guard: disk, guard_path: "signed".to_owned() }
}

fn genesis(validators: usize) -> Result<Genesis, TooLong> {
    let change = |(name, value)| ParameterChange { name, value };
    let parameters = [
        (ParameterName::BlockBytes, 100_000),
        (ParameterName::Issuance, 1_000_003),
        (ParameterName::UnbondingBlocks, 100),
        (ParameterName::TermBlocks, TERM_BLOCKS),
        (ParameterName::TermsPerLot, 1),
        (ParameterName::ReadyBlocks, 5),
        (ParameterName::PuzzleBits, 0),
        (ParameterName::VotingBlocks, 20),
    ];
    let account = |number| GenesisAccount {
        address: account_key(number).public().into(),
        balance: Amount::coins(1_000_000),
    };
    let validator = |node| GenesisValidator {
        validator: account_key(node).public().into(),
        consensus_key: consensus_key(node).public(),
        bond: Amount::coins(5_000),
        beacon: beacon(node).end(),
        power: 10,
    };
    let accounts: Vec<_> = (0..validators + PAYERS).map(account).collect();
    let seats: Vec<_> = (0..validators).map(validator).collect();
    Ok(Genesis {
        name: Text::new("simulation")?,
        time_ms: BEGIN_MS - 1_000,
        protocol: 1,
        parameters: Rising::new(parameters.map(change))?,
        accounts: Rising::new(accounts)?,
        validators: Rising::new(seats)?,
    })
}

impl Setup {
    /// Makes the chain of a configuration.
    pub(super) fn new(config: &Config) -> Result<Self, SetupError> {
        let (validators, most) = (config.validators, Config::MOST_VALIDATORS);
        if validators == 0 || validators > most {
            return Err(SetupError::Validators { found: validators, most });
        }
        let config = Config {
            byzantine_count: config.byzantine.map_or(0, |_| config.byzantine_count),
            ..config.clone()
        };
        if config.byzantine_count >= validators {
            return Err(SetupError::Byzantine { found: config.byzantine_count, validators });
        }
        let genesis = genesis(validators)?;
        let node = consensus::Config {
            timeouts: Timeouts::default(),
            interval_ms: 1_000,
            heartbeat_ms: Some(3_000),
            precision_ms: PRECISION_MS,
            mempool: Limits { bytes: 1 << 20, per_account: 64 },
            state: Options { keep_versions: 2, cache_bytes: 1 << 20 },
            ..consensus::Config::default()
        };
        let mut disks = Vec::new();
        for number in 0..validators {
            let disk = SimDisk::new();
            Validator::create(&genesis, &files(&disk), Some(identity(number)), node)?;
            disks.push(disk);
        }
        let mut fee_parameters = Parameters::default();
        for change in genesis.parameters.iter() {
            let _ = fee_parameters.set(change.name, change.value);
        }
        Ok(Self { config, chain: genesis.chain_id(), genesis, node, disks, fee_parameters })
    }

    /// A node's disk as it is at the beginning, which shares nothing with any other.
    pub(super) fn disk(&self, node: usize) -> SimDisk {
        self.disks.get(node).map(SimDisk::deep_clone).unwrap_or_default()
    }

    /// Opens a node on its disk.
    pub(super) fn open(&self, node: usize, disk: &SimDisk) -> Result<Validator, ConsensusError> {
        Validator::open(&self.genesis, &files(disk), Some(identity(node)), self.node)
    }

    /// Nanoseconds since the epoch at a time of the run.
    pub(super) fn time_ns(elapsed_ns: u64) -> u64 {
        (BEGIN_MS * 1_000_000).saturating_add(elapsed_ns)
    }

    /// The account of a payer.
    pub(super) fn payer(&self, payer: usize) -> Address {
        account_key(self.config.validators + payer % PAYERS).public().into()
    }

    /// A payment of one mote from a payer to the next, as the transaction after `nonce` others.
    pub(super) fn payment(&self, payer: usize, nonce: u64, height: u64) -> Transaction {
        let to = self.payer(payer + 1);
        let action = Transfer {
            to,
            coin: Coin::Native,
            amount: Amount(1),
            memo: Bytes::new([7; 64]).unwrap_or_default(),
        };
        self.transaction(self.config.validators + payer % PAYERS, nonce, height, action)
    }

    /// A transaction of an account; the fee is more than the least.
    pub(super) fn transaction(
        &self,
        account: usize,
        nonce: u64,
        height: u64,
        action: impl Into<Action>,
    ) -> Transaction {
        const LARGEST_BYTES: usize = 600;
        let action = action.into();
        let fee = least_fee(&self.fee_parameters, LARGEST_BYTES, action.weight());
        let key = account_key(account);
        let sender = key.public().into();
        let valid_until = height.saturating_add(50);
        let chain = self.chain;
        Body { version: 1, chain, sender, nonce, valid_until, fee, action }.sign(&key)
    }
}
