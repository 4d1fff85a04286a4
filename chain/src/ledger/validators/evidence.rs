//! Holding a validator to what he signed.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{ConsensusKeyKey, MisdeedKey, slash};
use crate::address::Address;
use crate::hash::Domain;
use crate::keys::PublicKey;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};
use crate::vote::{Proposal, Signed, Vote};

/// Proves that a validator signed two different things where he may sign one: votes of one height,
/// round and step, or proposals of one height and round.
///
/// - Both messages are of this chain, signed by the same consensus key, agree in height, round and
///   step, and differ.
/// - The height is not above the present one, and not longer ago than `unbonding_blocks`.
/// - Of one key, height and round, one piece of evidence counts.
/// - It comes in a transaction, or the proposer puts it into his block and is the sender; a block
///   with evidence that is refused is invalid.
/// - The validator is barred for ever and loses `double_sign_slash` of all that is behind him. What
///   is unbonding since that height loses the same share when it is paid out. Of this the sender
///   gets `reporter_share`; the rest is burnt. One validator is slashed 16 times at most.
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
pub struct Evidence {
    /// The consensus key that signed both.
    pub key: PublicKey,
    /// What it signed.
    pub misdeed: Misdeed,
}

/// Two messages that one key must not sign both.
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
pub enum Misdeed {
    /// Two votes.
    Votes(Signed<Vote>, Signed<Vote>),
    /// Two proposals.
    Proposals(Signed<Proposal>, Signed<Proposal>),
}

impl Misdeed {
    /// Height and round, if the messages are two different ones for the same place.
    fn place(&self) -> Option<(u64, u32)> {
        match self {
            Self::Votes(first, second) => {
                let (first, second) = (first.message, second.message);
                let aligned = Vote { block: first.block, ..second };
                (first != second && first == aligned).then_some((first.height, first.round))
            }
            Self::Proposals(first, second) => {
                let (first, second) = (first.message, second.message);
                let aligned =
                    Proposal { block: first.block, valid_round: first.valid_round, ..second };
                (first != second && first == aligned).then_some((first.height, first.round))
            }
        }
    }

    fn is_by(&self, key: &PublicKey) -> bool {
        match self {
            Self::Votes(first, second) => first.is_by(key) && second.is_by(key),
            Self::Proposals(first, second) => first.is_by(key) && second.is_by(key),
        }
    }

    fn chain(&self) -> crate::hash::ChainId {
        match self {
            Self::Votes(first, _) => first.message.chain,
            Self::Proposals(first, _) => first.message.chain,
        }
    }
}

impl Rules for Evidence {
    fn weight(&self) -> u64 {
        10
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        punish(ledger, self, call.sender)
    }
}

/// Checks evidence and slashes for it, whether it came in a transaction or in the block itself.
pub(crate) fn punish(
    ledger: &mut Ledger<'_>,
    evidence: &Evidence,
    reporter: Address,
) -> Result<(), Halt> {
    let Evidence { key, misdeed } = evidence;
    let place = misdeed.place().filter(|_| misdeed.chain() == ledger.chain);
    let (height, round) = place.ok_or(Refusal::Harmless)?;
    ensure(height <= ledger.height, Refusal::Harmless)?;
    let window = ledger.parameters.count(ParameterName::UnbondingBlocks);
    let until = height.saturating_add(window);
    ensure(ledger.height < until, Refusal::Late { until })?;
    let validator = ledger.find(&ConsensusKeyKey { key: *key }, Thing::ConsensusKey)?;
    let known = MisdeedKey { id: Domain::Vote.hash_of(&(*key, height, round)).0 };
    ensure(ledger.get(&known)?.is_none(), Refusal::Exists(Thing::Evidence))?;
    ensure(misdeed.is_by(key), Refusal::Harmless)?;
    let height_now = ledger.height;
    ledger.put(&known, &height_now);
    let share = ledger.parameters.share(ParameterName::DoubleSignSlash);
    slash(ledger, validator, share, height, reporter)
}
