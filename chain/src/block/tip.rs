//! What the next block builds on.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::genesis::Genesis;
use crate::hash::{BlockId, ChainId};
use crate::header::Header;
use crate::history::{History, Node};

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// The chain.
    pub chain: ChainId,
    /// The height of the last block; 0 at the genesis.
    pub height: u64,
    /// The last block; the chain's id at the genesis.
    pub block: BlockId,
    /// The last block's time in nanoseconds since the epoch.
    pub time_ns: u64,
    /// All blocks so far, the last one included.
    pub history: History,
}

impl Tip {
    /// The beginning of a chain.
    #[must_use]
    pub fn genesis(genesis: &Genesis) -> Self {
        let chain = genesis.chain_id();
        Self {
            chain,
            height: 0,
            block: BlockId(chain.0),
            time_ns: genesis.time_ms.saturating_mul(1_000_000),
            history: History::genesis(chain),
        }
    }

    /// Goes on to a block that was checked against this tip, and gives the subtrees of the history
    /// that are new.
    pub fn advance(&mut self, header: &Header) -> Vec<Node> {
        (self.height, self.time_ns, self.block) = (header.height, header.time_ns, header.id());
        self.history.push(self.block)
    }
}
