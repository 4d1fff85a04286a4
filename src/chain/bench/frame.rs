//! What is said over a connection.
//!
//! ```text
//! length u32, little-endian · the canonical encoding of a Frame
//! ```

use std::io::{self, Read};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::consensus::message::{MAX_MESSAGE_BYTES, MAX_TRANSACTIONS, Message};
use chronolith_chain::encoding::{List, decode, encode};
use chronolith_chain::hash::{BlockId, Hash};
use chronolith_chain::transaction::Transaction;

/// The largest frame: a message, and what is around it.
const FRAME_MOST: usize = MAX_MESSAGE_BYTES + 64;

/// A validator that can be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Neighbour {
    /// Its number.
    pub(super) number: u16,
    /// Its port on the loopback interface.
    pub(super) port: u16,
}

/// Where a validator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Status {
    /// The last committed height.
    pub(super) height: u64,
    /// Its block.
    pub(super) block: BlockId,
    /// The root of the state after it.
    pub(super) state_root: Hash,
    /// The running term.
    pub(super) term: u64,
    /// The running lot.
    pub(super) lot: u64,
    /// To how many other validators it is connected.
    pub(super) neighbours: u64,
    /// How many transactions wait.
    pub(super) waiting: u64,
    /// Processor time of the process, in nanoseconds.
    pub(super) cpu_ns: u64,
}

/// A committed block, as the load is told of it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Committed {
    /// Its height.
    pub(super) height: u64,
    /// The round it was decided in.
    pub(super) round: u32,
    /// Its id.
    pub(super) block: BlockId,
    /// The proposer's time, in nanoseconds since the epoch.
    pub(super) time_ns: u64,
    /// Whether others validate the next height.
    pub(super) changes_set: bool,
    /// How many of its transactions the ledger refuses; only validator 0 tells.
    pub(super) refused: u64,
    /// The first 8 bytes of the ids of its transactions; only validator 0 tells them.
    pub(super) transactions: List<u64, { 1 << 17 }>,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Frame {
    /// Who dials: a validator by its number, or the load.
    Hello(Option<u16>),
    /// The load says whom to dial.
    Dial(List<Neighbour, 128>),
    /// A message of consensus.
    Consensus(Message),
    /// The load hands in transactions.
    Submit(List<Transaction, MAX_TRANSACTIONS>),
    /// The load asks for all committed blocks from a height on, and from then on for each one that
    /// follows. After those that are there comes a [`Frame::ToldAll`].
    Tell(u64),
    /// All blocks that are there were told.
    ToldAll,
    /// A block is committed.
    Committed(Committed),
    /// A signed message that was sent or arrived, where the load watches them.
    Seen(Message),
    /// The load asks where the validator is.
    AskStatus,
    /// Where it is.
    Status(Status),
}

impl Frame {
    /// The bytes of the frame, its length in front.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes = encode(self);
        let mut framed = Vec::with_capacity(4 + bytes.len());
        framed.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        framed.extend_from_slice(&bytes);
        framed
    }

    /// Reads a frame; none at the end of the connection.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME_MOST {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut bytes = Vec::new();
        if input.by_ref().take(length as u64).read_to_end(&mut bytes)? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decode("a frame", &bytes, FRAME_MOST).map(Some).map_err(io::Error::other)
    }
}
