//! Executing a block: a pure function of the state and the block.

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda;
use super::call::{Call, Halt, Ledger};
use super::coin::{Account, AccountKey};
use super::governance::ProtocolKey;
use super::parameters::{ParameterName, Parameters, ParametersKey};
use super::refusal::Refusal;
use super::rewards;
use super::storage::{keep_beacon, settle_some};
use super::validators::{
    Evidence, Seats, SeatsKey, end_block, faded, keep_seats, punish, record_absent, reveal,
};
use crate::address::Address;
use crate::coin::Amount;
use crate::encoding::encode;
use crate::hash::{ChainId, Hash, TransactionId};
use crate::list::ListRoot;
use crate::state::{Overlay, Prepared, State, StateError};
use crate::transaction::{Transaction, Verified};

/// What a block gives the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The chain.
    pub chain: ChainId,
    /// The height: one above the state's.
    pub height: u64,
    /// The block's time, in milliseconds since the epoch; consensus sees to it that it rises.
    pub time_ms: u64,
    /// Who proposed the block.
    pub proposer: Option<Address>,
    /// The next element of the proposer's beacon chain.
    pub beacon: Option<Hash>,
    /// Whose votes committed the block before.
    pub voters: &'a [Address],
    /// Misdeeds that the proposer reports.
    pub evidence: &'a [Evidence],
    /// The transactions.
    pub transactions: &'a [Verified],
}

/// What became of a transaction.
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
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionId,
    /// What it paid.
    pub fee: Amount,
    /// Why its action was refused, if it was.
    pub refusal: Option<Refusal>,
}

/// What a block makes of the state, before it is committed.
pub struct Executed {
    /// What became of each transaction.
    pub receipts: Vec<Receipt>,
    /// The root over the transactions' ids.
    pub transactions: ListRoot,
    /// The root over the receipts.
    pub receipts_root: ListRoot,
    /// Who validates the next height.
    pub next_seats: Seats,
    /// The new state; its root is known, and it can be committed.
    pub prepared: Prepared,
}

/// Why a transaction cannot be in a block, now or for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inadmissible {
    /// It is of another version than this program knows.
    #[error("the transaction has version {found}, this program knows 1")]
    Version {
        /// The version.
        found: u16,
    },
    /// It is for another chain.
    #[error("the transaction is for the chain {found}")]
    Chain {
        /// The chain it is for.
        found: ChainId,
    },
    /// Its time is over.
    #[error("the transaction was valid until height {valid_until}; sign another")]
    Expired {
        /// The last height at which it was valid.
        valid_until: u64,
    },
    /// It would be valid for too long.
    #[error("the transaction is valid until height {valid_until}; at most {latest} is allowed")]
    TooLong {
        /// The last height at which it would be valid.
        valid_until: u64,
        /// The latest allowed.
        latest: u64,
    },
    /// It is not the sender's next.
    #[error("the transaction has nonce {found}, the sender's next is {expected}")]
    Nonce {
        /// The next one.
        expected: u64,
        /// The transaction's.
        found: u64,
    },
    /// Its fee is too small.
    #[error("the fee is {found}; {least} is the least for it")]
    Fee {
        /// The least.
        least: Amount,
        /// What it would pay.
        found: Amount,
    },
    /// The sender cannot pay the fee.
    #[error("the sender has {have} motes for a fee of {need}")]
    Balance {
        /// What he has.
        have: Amount,
        /// The fee.
        need: Amount,
    },
}

/// Why a block cannot be executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The block is not the next.
    #[error("the block has height {found}, the next is {expected}")]
    Height {
        /// The next height.
        expected: u64,
        /// The block's.
        found: u64,
    },
    /// A transaction cannot be in the block.
    #[error("transaction {index}: {reason}")]
    Transaction {
        /// Its place.
        index: usize,
        /// Why.
        reason: Inadmissible,
    },
    /// The transactions are too many bytes.
    #[error("the transactions have {found} bytes, at most {most} are allowed")]
    Bytes {
        /// The most allowed.
        most: u64,
        /// How many there are.
        found: u64,
    },
    /// The transactions are too much work.
    #[error("the transactions have a weight of {found}, at most {most} is allowed")]
    Weight {
        /// The most allowed.
        most: u64,
        /// How much it is.
        found: u64,
    },
    /// The beacon is not the next element of the proposer's chain.
    #[error("the beacon is not the next of the proposer's chain")]
    Beacon,
    /// Evidence that the proposer reports does not count.
    #[error("evidence {index}: {refusal}")]
    Evidence {
        /// Its place.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// A rule of the block itself failed.
    #[error("the block's own rules fail: {0}")]
    Rule(Refusal),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<Halt> for BlockError {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Refused(refusal) => Self::Rule(refusal),
            Halt::State(error) => Self::State(error),
        }
    }
}

/// The least fee of a transaction of a size in bytes and a weight.
#[must_use]
pub fn least_fee(parameters: &Parameters, size: usize, weight: u64) -> Amount {
    let bytes = parameters.get(ParameterName::FeePerByte).saturating_mul(size as u128);
    let work = parameters.get(ParameterName::FeePerWeight).saturating_mul(u128::from(weight));
    Amount(bytes.saturating_add(work))
}

/// Executes a block on a state, and changes nothing: the result can be committed, or dropped.
///
/// The order is: the beacon, who is absent, the evidence, the transactions, the agenda, the
/// settlement of leases, the rewards, the end of the term, the end of the epoch.
///
/// # Errors
/// Where the block as a whole is invalid, or the state cannot be read.
pub fn execute(state: &State, input: &Input<'_>) -> Result<Executed, BlockError> {
    let expected = state.head().version.saturating_add(1);
    if input.height != expected {
        return Err(BlockError::Height { expected, found: input.height });
    }
    let overlay = Overlay::new(state);
    let parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
    let loads = input.transactions.iter().map(|one| (one.size(), one.body().action.weight()));
    ensure_limits(&parameters, loads)?;
    let mut ledger = Ledger {
        state: overlay,
        chain: input.chain,
        height: input.height,
        time_ms: input.time_ms,
        parameters,
    };
    keep_seats(&mut ledger)?;
    if let (Some(proposer), Some(beacon)) = (input.proposer, input.beacon)
        && !reveal(&mut ledger, proposer, beacon)?
    {
        return Err(BlockError::Beacon);
    }
    record_absent(&mut ledger, input.voters)?;
    report(&mut ledger, input)?;
    let mut receipts = Vec::with_capacity(input.transactions.len());
    let mut fees = Amount::ZERO;
    for (index, transaction) in input.transactions.iter().enumerate() {
        let (receipt, kept) = apply(&mut ledger, transaction, index)?;
        fees = fees.plus(kept).map_err(Halt::from)?;
        receipts.push(receipt);
    }
    agenda::run(&mut ledger)?;
    settle_some(&mut ledger)?;
    let reward = rewards::Block { fees, proposer: input.proposer, voters: input.voters };
    rewards::distribute(&mut ledger, &reward, input.beacon.is_some())?;
    end_block(&mut ledger)?;
    keep_beacon(&mut ledger)?;
    Ok(Executed {
        transactions: ListRoot::of(input.transactions.iter().map(Verified::id)),
        receipts_root: ListRoot::of(&receipts),
        receipts,
        next_seats: ledger.get_or_default(&SeatsKey {})?,
        prepared: state.prepare(input.height, ledger.state.into_changes())?,
    })
}

/// Punishes what the proposer reports; a block with evidence that does not count is invalid.
fn report(ledger: &mut Ledger<'_>, input: &Input<'_>) -> Result<(), BlockError> {
    for (index, evidence) in input.evidence.iter().enumerate() {
        let reporter = input.proposer.unwrap_or_default();
        match punish(ledger, evidence, reporter) {
            Err(Halt::Refused(refusal)) => return Err(BlockError::Evidence { index, refusal }),
            done => done?,
        }
    }
    Ok(())
}

/// Checks that transactions are not too many bytes or too much work for the next block, as
/// [`execute`] does, before anything is spent on their signatures.
pub(crate) fn check_limits(state: &State, transactions: &[Transaction]) -> Result<(), BlockError> {
    let parameters = Overlay::new(state).get(&ParametersKey {})?.unwrap_or_default();
    let loads = transactions.iter().map(|one| (encode(one).len(), one.body.action.weight()));
    ensure_limits(&parameters, loads)
}

/// Of each transaction, its bytes and its weight.
fn ensure_limits(
    parameters: &Parameters,
    loads: impl Iterator<Item = (usize, u64)>,
) -> Result<(), BlockError> {
    let (bytes, weight) = loads.fold((0_u64, 0_u64), |(bytes, weight), (size, work)| {
        (bytes.saturating_add(size as u64), weight.saturating_add(work))
    });
    let most = parameters.count(ParameterName::BlockBytes);
    if bytes > most {
        return Err(BlockError::Bytes { most, found: bytes });
    }
    let most = parameters.count(ParameterName::BlockWeight);
    if weight > most {
        return Err(BlockError::Weight { most, found: weight });
    }
    Ok(())
}

/// Why a transaction cannot be in the next block, if it cannot.
fn admit(
    ledger: &Ledger<'_>,
    transaction: &Verified,
    account: &Account,
) -> Result<(), Inadmissible> {
    let body = transaction.body();
    if body.version != 1 {
        return Err(Inadmissible::Version { found: body.version });
    }
    if body.chain != ledger.chain {
        return Err(Inadmissible::Chain { found: body.chain });
    }
    let valid_until = body.valid_until;
    if ledger.height > valid_until {
        return Err(Inadmissible::Expired { valid_until });
    }
    let longest = ledger.parameters.count(ParameterName::ValidLongest);
    let latest = ledger.height.saturating_add(longest);
    if valid_until > latest {
        return Err(Inadmissible::TooLong { valid_until, latest });
    }
    if body.nonce != account.nonce {
        return Err(Inadmissible::Nonce { expected: account.nonce, found: body.nonce });
    }
    let least = least_fee(&ledger.parameters, transaction.size(), body.action.weight());
    if body.fee < least {
        return Err(Inadmissible::Fee { least, found: body.fee });
    }
    if account.balance < body.fee {
        return Err(Inadmissible::Balance { have: account.balance, need: body.fee });
    }
    Ok(())
}

/// Takes a transaction's fee and does its action; what is left of the fee after burning.
fn apply(
    ledger: &mut Ledger<'_>,
    transaction: &Verified,
    index: usize,
) -> Result<(Receipt, Amount), BlockError> {
    let body = transaction.body();
    let key = AccountKey { address: body.sender };
    let account = ledger.get_or_default(&key)?;
    admit(ledger, transaction, &account)
        .map_err(|reason| BlockError::Transaction { index, reason })?;
    let share = ledger.parameters.share(ParameterName::FeeBurn);
    let burnt = body.fee.basis_points(share).map_err(Halt::from)?;
    let kept = body.fee.minus(burnt).map_err(Halt::from)?;
    let before = Amount(faded(account.fees_burnt.0, account.counted_to, ledger.height));
    let paid = Account {
        nonce: account.nonce.saturating_add(1),
        balance: account.balance.minus(body.fee).map_err(Halt::from)?,
        fees_burnt: before.plus(burnt).map_err(Halt::from)?,
        counted_to: ledger.height,
    };
    ledger.put(&key, &paid);
    ledger.burn(burnt)?;

    ledger.state.mark();
    let call = Call { sender: body.sender, transaction: transaction.id() };
    let since = body.action.kind().since;
    let protocol = ledger.get_or_default(&ProtocolKey {})?;
    let done = if protocol < since {
        Err(Halt::Refused(Refusal::Protocol { since }))
    } else {
        body.action.apply(ledger, &call)
    };
    let refusal = match done {
        Ok(()) => None,
        Err(Halt::Refused(refusal)) => {
            ledger.state.take_back();
            Some(refusal)
        }
        Err(Halt::State(error)) => return Err(error.into()),
    };
    Ok((Receipt { transaction: transaction.id(), fee: body.fee, refusal }, kept))
}
