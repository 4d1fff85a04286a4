//! Block headers: what validators commit to, and all that a light client needs of a block.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::encoding::{DecodeError, decode};
use crate::hash::{BlockId, ChainId, Domain, Hash};
use crate::list::ListRoot;

/// The version of headers that this program makes and knows.
pub const HEADER_VERSION: u16 = 1;

/// The head of a block. Its hash is the block's id.
///
/// Every root is of what is so *after* the block: who votes for it has executed it.
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
pub struct Header {
    /// The version of this structure: [`HEADER_VERSION`].
    pub version: u16,
    /// The chain.
    pub chain: ChainId,
    /// The height, from 1; the genesis is height 0 and has no header.
    pub height: u64,
    /// The proposer's time in nanoseconds since the epoch; later than that of the block before.
    pub time_ns: u64,
    /// The block before; of the first one, the chain's id.
    pub previous: BlockId,
    /// The hash of the certificate in this block, which commits the block before.
    pub certificate: Hash,
    /// The ids of the transactions.
    pub transactions: ListRoot,
    /// The evidence in the block.
    pub evidence: ListRoot,
    /// The root of the state.
    pub state_root: Hash,
    /// The receipts of the transactions.
    pub receipts: ListRoot,
    /// The hash of the set of validators that commits this block.
    pub validators: Hash,
    /// The hash of the set that commits the next.
    pub next_validators: Hash,
    /// The root over all earlier block ids, of which there are as many as the height says: the
    /// genesis is one of them.
    pub history_root: Hash,
    /// The next element of the proposer's beacon chain; without it he forfeits his reward.
    pub beacon: Option<Hash>,
    /// Who proposed the block first.
    pub proposer: Address,
}

impl Header {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 2 + 2 * 8 + 8 * 32 + 3 * 36 + 33;

    /// Decodes a header.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a header", bytes, Self::MAX_BYTES)
    }

    /// The block's id.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(Domain::Block.hash_of(self).0)
    }

    /// The time in milliseconds since the epoch, as the ledger counts it.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.time_ns / 1_000_000
    }
}
