//! The validators of a height: in one order, with powers whose sum cannot overflow.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize, io};

use crate::address::Address;
use crate::encoding::{DecodeError, DecodeReason, Rising, decode};
use crate::hash::{Domain, Hash};
use crate::keys::PublicKey;
use crate::ledger::{Seat, Seats};

/// The most validators there can be at one height.
pub const MAX_VALIDATORS: usize = 128;

/// The most voting power there can be at one height, all together.
///
/// Consensus multiplies powers by three before it compares them; by this bound it cannot overflow.
pub const MAX_TOTAL_POWER: u64 = 1 << 60;

const _: () = assert!(MAX_TOTAL_POWER < u64::MAX / 3);

/// The validators of a height, in the order of their accounts, which bitmaps count by.
///
/// There is at least one, each has a power of at least 1 and a consensus key of its own, and the
/// sum of the powers is at most [`MAX_TOTAL_POWER`].
#[derive(Clone, PartialEq, Eq)]
pub struct ValidatorSet {
    members: Seats,
    total_power: u64,
}

/// Why seats are no set of validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidatorSetError {
    /// There are none.
    #[error("a set of validators needs at least one")]
    Empty,
    /// There are too many.
    #[error("{found} validators where at most {MAX_VALIDATORS} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Two have one account.
    #[error("two validators have one account")]
    Account,
    /// A validator has no power.
    #[error("the validator {validator} has no voting power")]
    Powerless {
        /// The validator.
        validator: Address,
    },
    /// All powers together are too large.
    #[error("the voting powers sum up to more than {MAX_TOTAL_POWER}")]
    TotalPower,
    /// Two validators share a consensus key.
    #[error("the consensus key of {validator} is another's, too")]
    Key {
        /// One of them.
        validator: Address,
    },
}

impl ValidatorSet {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 4 + MAX_VALIDATORS * (32 + 32 + 8);

    /// The set of members in any order.
    ///
    /// # Errors
    /// Where they break a rule of the set.
    pub fn new(members: impl Into<Vec<Seat>>) -> Result<Self, ValidatorSetError> {
        let members = members.into();
        let found = members.len();
        if found > MAX_VALIDATORS {
            return Err(ValidatorSetError::TooMany { found });
        }
        Self::check(Rising::new(members).map_err(|_| ValidatorSetError::Account)?)
    }

    /// The set of the seats that the state holds.
    ///
    /// # Errors
    /// Where they break a rule of the set.
    pub fn from_seats(seats: &Seats) -> Result<Self, ValidatorSetError> {
        Self::check(seats.clone())
    }

    fn check(members: Seats) -> Result<Self, ValidatorSetError> {
        let mut total_power = 0_u64;
        let mut keys = Vec::with_capacity(members.len());
        for member in members.iter() {
            if member.power == 0 {
                return Err(ValidatorSetError::Powerless { validator: member.validator });
            }
            total_power = total_power
                .checked_add(member.power)
                .filter(|total| *total <= MAX_TOTAL_POWER)
                .ok_or(ValidatorSetError::TotalPower)?;
            keys.push((member.consensus_key, member.validator));
        }
        keys.sort_unstable();
        for pair in keys.windows(2) {
            if let [(first, _), (second, validator)] = pair
                && first == second
            {
                return Err(ValidatorSetError::Key { validator: *validator });
            }
        }
        if members.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        Ok(Self { members, total_power })
    }

    /// Decodes a set.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a set of validators", bytes, Self::MAX_BYTES)
    }

    /// The members, in the order of their accounts.
    #[must_use]
    pub fn members(&self) -> &[Seat] {
        &self.members
    }

    /// How many members there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The sum of all powers.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.total_power
    }

    /// The member at a place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Seat> {
        self.members.get(index)
    }

    /// The place of an account's member.
    #[must_use]
    pub fn index_of(&self, validator: Address) -> Option<usize> {
        self.members.binary_search_by_key(&validator, |member| member.validator).ok()
    }

    /// The place of the member with a consensus key.
    #[must_use]
    pub fn index_of_key(&self, key: &PublicKey) -> Option<usize> {
        self.members.iter().position(|member| member.consensus_key == *key)
    }

    /// Whether a power is more than two thirds of all: enough to commit.
    #[must_use]
    pub fn is_quorum(&self, power: u64) -> bool {
        3 * u128::from(power) > 2 * u128::from(self.total_power)
    }

    /// Whether a power is more than a third of all: one honest member at least is part of it.
    #[must_use]
    pub fn is_third(&self, power: u64) -> bool {
        3 * u128::from(power) > u128::from(self.total_power)
    }

    /// The hash that headers hold.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Domain::ValidatorSet.hash_of(&self.members)
    }
}

impl fmt::Debug for ValidatorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter()).finish()
    }
}

impl BorshSerialize for ValidatorSet {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.members.serialize(writer)
    }
}

impl BorshDeserialize for ValidatorSet {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let members = Seats::deserialize_reader(reader)?;
        Self::check(members).map_err(|_| DecodeReason::Invalid.into_io())
    }
}
