//! Blocks: made by a proposer, checked by everybody else, by the same rules.
//!
//! A [`Tip`] is what the next block builds on. A proposer makes a block of a [`Draft`]; whoever
//! receives one checks it against his own tip and state, and gets what the draft gave: the new
//! state, which is committed when the block is. Only two things are left to consensus: whether the
//! proposer's time is near to one's own, and whose turn it is to propose.

mod check;
mod tip;

pub use check::{Draft, Framed, InvalidBlock, Mismatch};
pub use tip::Tip;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::certificate::Certificate;
use crate::encoding::{DecodeError, List, decode};
use crate::header::Header;
use crate::ledger::Evidence;
use crate::transaction::Transaction;

/// The largest encoding of a block in bytes: above the largest value that the parameter
/// `block_bytes` can have.
pub const MAX_BLOCK_BYTES: usize = 17 << 20;

/// The most transactions of a block.
pub const MAX_TRANSACTIONS: usize = 1 << 17;

/// The most pieces of evidence in a block.
pub const MAX_EVIDENCE: usize = 32;

/// A block. The header commits to everything in it but the transactions' signatures, which are
/// verified whenever a block is checked: a false one makes this copy of the block invalid, and says
/// nothing about the block of that id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// What commits the block before; none in the first.
    pub certificate: Option<Certificate>,
    /// Misdeeds that the proposer reports.
    pub evidence: List<Evidence, MAX_EVIDENCE>,
    /// The transactions, in the order in which they are executed.
    pub transactions: List<Transaction, MAX_TRANSACTIONS>,
}

impl Block {
    /// Decodes a block.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a block", bytes, MAX_BLOCK_BYTES)
    }
}
