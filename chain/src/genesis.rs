//! Genesis: what a chain begins with, and what names it.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::{Amount, BasisPoints, CoinError};
use crate::encoding::{DecodeError, Keyed, Rising, Text, decode, encode};
use crate::hash::{ChainId, Domain, Hash};
use crate::keys::PublicKey;
use crate::ledger::{
    Account, AccountKey, BondedKey, ConsensusKeyKey, DelegationKey, ParameterChange, Parameters,
    ParametersKey, ProtocolKey, Schedule, ScheduleKey, Seat, Seats, SeatsKey, Supply, SupplyKey,
    Validator, ValidatorKey,
};
use crate::state::{Changes, Key};
use crate::validator_set::{ValidatorSet, ValidatorSetError};

/// The document that a chain begins with. Its hash is the chain's id, so two chains that differ in
/// anything of it never take each other's transactions or votes.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// What people call the chain.
    pub name: Text<{ Genesis::NAME_MOST }>,
    /// Its beginning, in milliseconds since the epoch.
    pub time_ms: u64,
    /// The version of the protocol it begins with.
    pub protocol: u16,
    /// Parameters that are not what they are by default.
    pub parameters: Rising<ParameterChange, 64>,
    /// What accounts hold.
    pub accounts: Rising<GenesisAccount, 100_000>,
    /// The validators of the first term.
    pub validators: Rising<GenesisValidator, 128>,
}

/// What an account holds at the beginning.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// The account.
    pub address: Address,
    /// Its native coin.
    pub balance: Amount,
}

/// A validator of the first term.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// The account that runs it.
    pub validator: Address,
    /// The key that signs in consensus.
    pub consensus_key: PublicKey,
    /// Its bond, which is not zero.
    pub bond: Amount,
    /// The end of its beacon chain.
    pub beacon: Hash,
    /// Its voting power in the first term, which is not zero.
    pub power: u64,
}

impl Keyed for GenesisAccount {
    type Key = Address;

    fn key(&self) -> Address {
        self.address
    }
}

impl Keyed for GenesisValidator {
    type Key = Address;

    fn key(&self) -> Address {
        self.validator
    }
}

/// Why no chain can begin with a genesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// A parameter is outside its bounds, or parameters do not agree.
    #[error("a parameter is outside its bounds, or parameters do not agree with each other")]
    Parameters,
    /// A validator has no bond, no power, or another's consensus key.
    #[error("a validator needs a bond, a voting power and a consensus key of its own")]
    Validator,
    /// All coin together is more than there can be.
    #[error("all coin of the genesis together: {0}")]
    Coin(#[from] CoinError),
}

fn put<K: Key>(changes: &mut Changes, key: &K, value: &K::Value) -> Option<Option<Vec<u8>>> {
    changes.insert(key.to_bytes(), Some(encode(value)))
}

impl Genesis {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 16 << 20;

    /// The longest name in bytes.
    pub const NAME_MOST: usize = 64;

    /// Decodes a genesis.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a genesis", bytes, Self::MAX_BYTES)
    }

    /// The id of the chain.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId(Domain::Genesis.hash_of(self).0)
    }

    /// The validators of the first term.
    ///
    /// # Errors
    /// Where they are no set.
    pub fn validator_set(&self) -> Result<ValidatorSet, ValidatorSetError> {
        let seats = self.validators.iter().map(|first| Seat {
            validator: first.validator,
            consensus_key: first.consensus_key,
            power: first.power,
        });
        ValidatorSet::new(seats.collect::<Vec<_>>())
    }

    /// The values of the state at height 0.
    pub fn values(&self) -> Result<Changes, GenesisError> {
        let mut values = Changes::new();
        let mut parameters = Parameters::default();
        let are_within =
            self.parameters.iter().all(|change| parameters.set(change.name, change.value));
        if !are_within || !parameters.agree() {
            return Err(GenesisError::Parameters);
        }
        put(&mut values, &ParametersKey {}, &parameters);
        put(&mut values, &ProtocolKey {}, &self.protocol);
        let mut minted = Amount::ZERO;
        for GenesisAccount { address, balance } in self.accounts.iter().copied() {
            minted = minted.plus(balance)?;
            put(&mut values, &AccountKey { address }, &Account { balance, ..Account::default() });
        }
        let bonded = self.seat(&mut values)?;
        let (minted, burnt) = (minted.plus(bonded)?, Amount::ZERO);
        put(&mut values, &SupplyKey {}, &Supply { minted, burnt });
        let seed = Hash(self.chain_id().0);
        let schedule = Schedule { lot_seed: seed, seed, ..Schedule::default() };
        put(&mut values, &ScheduleKey {}, &schedule);
        Ok(values)
    }

    /// Puts the validators of the first term; the sum of their bonds.
    fn seat(&self, values: &mut Changes) -> Result<Amount, GenesisError> {
        let (mut seats, mut bonded) = (Vec::new(), Amount::ZERO);
        for first in self.validators.iter() {
            let GenesisValidator { validator, consensus_key, bond, beacon, power } = *first;
            bonded = bonded.plus(bond)?;
            let entry = Validator {
                consensus_key,
                stake: bond,
                shares: bond.0,
                commission: BasisPoints(0),
                beacon,
                ..Validator::default()
            };
            put(values, &ValidatorKey { validator }, &entry);
            put(values, &DelegationKey { owner: validator, validator }, &bond.0);
            let key = ConsensusKeyKey { key: consensus_key };
            let is_taken = put(values, &key, &validator).is_some();
            if bond.is_zero() || power == 0 || is_taken {
                return Err(GenesisError::Validator);
            }
            seats.push(Seat { validator, consensus_key, power });
        }
        let seats = Seats::new(seats).map_err(|_| GenesisError::Validator)?;
        put(values, &SeatsKey {}, &seats);
        put(values, &BondedKey {}, &bonded);
        Ok(bonded)
    }
}
