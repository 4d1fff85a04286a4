//! Questions between nodes, and their answers.
//!
//! A request of the [network](crate::network) carries the canonical encoding of a [`Question`], its
//! answer that of a [`Reply`]. Both are bounded by their types. What a node cannot do it says with
//! [`Reply::Refused`]; a request that decodes to nothing is no honest node's, and is blamed.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::message::MAX_TRANSACTIONS;
use chronolith_chain::consensus::snapshot::SnapshotHead;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, DecodeError, List, Text, decode, encode};
use chronolith_chain::hash::{BlockId, ChainId, Domain, Hash, RequestId, TransactionId};
use chronolith_chain::keys::{SecretKey, Signature, verify};
use chronolith_chain::ledger::{Fragment, Fragments, NewLease, Receipt};
use chronolith_chain::light::Step;
use chronolith_chain::mempool::Refused;
use chronolith_chain::state::MAX_CHUNK_BYTES;
use chronolith_chain::transaction::Transaction;
use libp2p::{Multiaddr, PeerId};

use crate::audit::ANSWER_BYTES_MAX;
use crate::network::{NetworkHandle, REQUEST_BYTES, RESPONSE_BYTES, RequestError};
use crate::pack::HEADER_BYTES_MAX;

/// The most characters of a reason.
const REASON_CHARACTERS: usize = 512;

/// The most bytes of a key that is looked up.
const KEY_BYTES: usize = 64;
/// The most neighbours that are told.
pub const MAX_NEIGHBOURS: usize = 1_024;
/// The most bytes of the key of a row of the state.
pub const ROW_KEY_BYTES: usize = 256;
/// The most rows that are told at once.
pub const MAX_ROWS: usize = 4_096;
/// The most bytes of rows that are told at once, but that there is always one.
pub const ROWS_BYTES: usize = 1 << 20;
/// The most bytes of a fragment, as it is kept, that goes over the network: 1 MiB with its head and
/// proof.
pub const FRAGMENT_BYTES_MAX: usize = (1 << 20) + (1 << 10);
/// The most headers that are told at once, each with its set of validators and its certificate.
pub const MAX_STEPS: usize = 48;
/// The most bytes of the sealed keys of a grant.
pub const SEALED_KEYS_BYTES: usize = 16_384;
/// The bytes of a piece of a note; the last one may have fewer.
pub const NOTE_PIECE_BYTES: usize = 1 << 19;
/// The most fragments of a pack.
const FRAGMENTS: usize = chronolith_fragment::FRAGMENTS_MAX as usize;

/// What a node may be asked.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Question {
    /// Where the node is.
    Status,
    /// Hands in transactions.
    Submit(List<Transaction, MAX_TRANSACTIONS>),
    /// Who the node is connected with.
    Neighbours,
    /// Who announced that it has what a key names.
    Find(Bytes<KEY_BYTES>),
    /// Rows of the ledger's state, as they are after the node's last block. Nothing proves them: this
    /// is for those who trust the node.
    Rows {
        /// From this key on.
        from: Bytes<ROW_KEY_BYTES>,
        /// To before this one.
        until: Option<Bytes<ROW_KEY_BYTES>>,
        /// At most so many.
        most: u16,
    },
    /// What became of a transaction.
    Receipt {
        /// Which.
        transaction: TransactionId,
        /// The first height that is looked at.
        since: u64,
    },
    /// The header of a pack.
    Header(ContentId),
    /// Which fragments of a pack the peer keeps.
    Held(ContentId),
    /// A fragment, masked as it is kept.
    Fragment {
        /// Of which pack.
        pack: ContentId,
        /// Which of its fragments.
        index: u8,
    },
    /// Neighbouring blocks of a fragment, with their way to the root over all fragments.
    Blocks {
        /// Of which pack.
        pack: ContentId,
        /// Which of its fragments.
        index: u8,
        /// The first block.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Hands a storage peer a fragment of a pack that is placed on the ledger, before it is asked
    /// for its consent to a lease.
    Keep {
        /// Who placed the pack.
        owner: Address,
        /// Who asks, and that he does.
        by: Asker,
        /// The pack's header.
        header: Bytes<HEADER_BYTES_MAX>,
        /// The fragment, as [`StoredFragment`](crate::stored::StoredFragment) is written.
        fragment: Bytes<FRAGMENT_BYTES_MAX>,
    },
    /// Asks a storage peer to lease fragments that it was handed.
    Consent {
        /// Who placed their packs.
        owner: Address,
        /// Who asks, and that he does.
        by: Asker,
        /// Which.
        fragments: Fragments,
        /// What the peer is to get for an epoch, all fragments together.
        price: Amount,
        /// The first epoch in which they need not be kept any more.
        until_epoch: u64,
        /// The last height at which the consent is to count.
        valid_until: u64,
    },
    /// Entrusts a repairer with the secret that a pack is masked by. Nobody else reads it on the way:
    /// the connection is encrypted to the key that the repairer's address on the ledger names.
    Entrust {
        /// Who placed the pack.
        owner: Address,
        /// Which.
        pack: ContentId,
        /// The secret.
        secret: SentSecret,
    },
    /// The answer of a storage peer to the audit of an epoch, as it was seen.
    Answer {
        /// The epoch.
        epoch: u64,
        /// Whose.
        peer: Address,
    },
    /// The newest snapshot of the chain's state that the node serves.
    SnapshotHead,
    /// A piece of a snapshot.
    SnapshotChunk {
        /// Of which height.
        height: u64,
        /// Which of its pieces.
        index: u32,
    },
    /// Headers by which who trusts one block can trust a later one: the last of each set of validators,
    /// and the later one itself.
    Steps {
        /// The height that is trusted; 0 for the genesis.
        since: u64,
        /// The height that is to be.
        until: u64,
    },
    /// What was sealed to a buyer, which is in a block and not in the state.
    Sealed {
        /// The hash that the state has of it.
        wrapped: Hash,
        /// The first height that is looked at.
        since: u64,
    },
    /// A piece of what an owner tells a buyer beside a grant, sealed to him.
    Note {
        /// Of which request.
        request: RequestId,
        /// Which of its pieces.
        index: u32,
    },
}

/// Who asks for something to be kept: the owner of packs, or somebody who may repair them.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Asker {
    /// His account.
    pub account: Address,
    /// His signature of what he asks, of whom.
    pub signature: Signature,
}

impl Asker {
    /// Signs what is asked of a peer.
    #[must_use]
    pub fn sign(key: &SecretKey, asked: &Asked<'_>) -> Self {
        Self { account: key.public().into(), signature: key.sign(&asked.hash()) }
    }

    /// Whether he asks this.
    #[must_use]
    pub fn asks(&self, asked: &Asked<'_>) -> bool {
        verify(&self.account.key(), &asked.hash(), &self.signature)
    }
}

/// What is asked of a storage peer in an owner's name.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// On which chain.
    pub chain: ChainId,
    /// Of whom.
    pub peer: Address,
    /// Whose packs.
    pub owner: Address,
    /// Which fragments.
    pub fragments: &'a [Fragment],
    /// The last height at which a consent is to count; 0 where they are only to be kept.
    pub valid_until: u64,
}

impl Asked<'_> {
    fn hash(&self) -> Hash {
        let Self { chain, peer, owner, fragments, valid_until } = self;
        Domain::AskStorage.hash_of(&(chain, peer, owner, fragments, valid_until))
    }
}

/// A mask's secret on its way; it is not printed.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SentSecret(pub [u8; 32]);

impl std::fmt::Debug for SentSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SentSecret(..)")
    }
}

/// A neighbour of a node, as it tells it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ToldNeighbour {
    /// Who it is, as text.
    pub peer: Text<128>,
    /// Where it is reached.
    pub address: Text<256>,
    /// What it runs.
    pub agent: Text<256>,
    /// How long the last ping took, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Points against it.
    pub points: u32,
}

/// Rows of the ledger's state.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rows {
    /// The height of the block after which the state has them.
    pub height: u64,
    /// Keys and values, in the order of the keys.
    pub rows: List<(Bytes<ROW_KEY_BYTES>, Bytes<ROWS_BYTES>), MAX_ROWS>,
    /// Whether there is nothing behind the last of them below the end that was asked for.
    pub is_end: bool,
}

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NodeStatus {
    /// The chain it follows.
    pub chain: ChainId,
    /// The last committed height.
    pub height: u64,
    /// Its block.
    pub block: BlockId,
    /// The root of the state after it.
    pub state_root: Hash,
    /// How many transactions wait for a block.
    pub waiting: u64,
    /// The round of the height that is worked on, where it has begun.
    pub round: Option<u32>,
    /// Whether the node votes at that height.
    pub is_voting: bool,
}

/// What became of a transaction that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Submitted {
    /// It waits for a block.
    Waits(TransactionId),
    /// It is refused, for this reason.
    Refused(Text<REASON_CHARACTERS>),
    /// A transaction of its sender with its nonce waits or is in a block, as this says.
    NonceTaken(Text<REASON_CHARACTERS>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reply {
    /// The node does not do this, for this reason.
    Refused(Text<REASON_CHARACTERS>),
    /// To [`Question::Status`].
    Status(NodeStatus),
    /// To [`Question::Submit`]: for each transaction, in their order.
    Submitted(List<Submitted, MAX_TRANSACTIONS>),
    /// To [`Question::Neighbours`].
    Neighbours(List<ToldNeighbour, MAX_NEIGHBOURS>),
    /// To [`Question::Find`]: peers as text, and how many requests the lookup made.
    Found(List<Text<128>, MAX_NEIGHBOURS>, u32),
    /// To [`Question::Rows`].
    Rows(Rows),
    /// To [`Question::Receipt`]: the height of its block and its receipt, where it is in one.
    Receipt {
        /// Where it is, and what became of it.
        found: Option<(u64, Receipt)>,
        /// The first height that was not looked at.
        next: u64,
    },
    /// What is asked for is not here.
    Absent,
    /// To [`Question::Header`].
    Header(Bytes<HEADER_BYTES_MAX>),
    /// To [`Question::Held`]: indices, rising.
    Held(List<u8, FRAGMENTS>),
    /// To [`Question::Fragment`].
    Fragment(Bytes<FRAGMENT_BYTES_MAX>),
    /// To [`Question::Blocks`]: as [`Shown`](chronolith_fragment::Shown) reads them.
    Blocks(Bytes<FRAGMENT_BYTES_MAX>),
    /// To [`Question::Keep`] and [`Question::Entrust`]: it is on disk.
    Kept,
    /// To [`Question::Consent`].
    Consent(NewLease),
    /// To [`Question::Answer`].
    Answer(Bytes<ANSWER_BYTES_MAX>),
    /// To [`Question::SnapshotHead`].
    SnapshotHead(Box<SnapshotHead>),
    /// To [`Question::SnapshotChunk`]: as [`SnapshotChunk`](chronolith_chain::state::SnapshotChunk) is
    /// written.
    SnapshotChunk(Bytes<MAX_CHUNK_BYTES>),
    /// To [`Question::Steps`]: the first of them, in their order.
    Steps(List<Step, MAX_STEPS>),
    /// To [`Question::Sealed`].
    Sealed {
        /// The height of its block, and the sealed keys.
        found: Option<(u64, Bytes<SEALED_KEYS_BYTES>)>,
        /// The first height that was not looked at.
        next: u64,
    },
    /// To [`Question::Note`].
    Note {
        /// The piece.
        piece: Bytes<NOTE_PIECE_BYTES>,
        /// How many there are.
        pieces: u32,
    },
}

impl Submitted {
    /// What the mempool says of a transaction, the reason cut where it is too long.
    #[must_use]
    pub fn of(admitted: &Result<TransactionId, Refused>) -> Self {
        match admitted {
            Ok(id) => Self::Waits(*id),
            Err(refused) if refused.is_nonce_taken() => {
                Self::NonceTaken(short(&refused.to_string()))
            }
            Err(refused) => Self::Refused(short(&refused.to_string())),
        }
    }
}

impl Question {
    /// The encoding that is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a question.
    ///
    /// # Errors
    /// Whatever is not exactly the encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a question", bytes, REQUEST_BYTES)
    }
}

impl Reply {
    /// A refusal, cut where it is too long.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        Self::Refused(short(reason))
    }

    /// The encoding that is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Whatever is not exactly the encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("an answer", bytes, RESPONSE_BYTES)
    }
}

/// As much of a reason as is sent.
fn short(reason: &str) -> Text<REASON_CHARACTERS> {
    let mut end = reason.len().min(REASON_CHARACTERS);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Text::new(reason.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The peer refused.
    #[error("peer {peer} refuses: {reason}")]
    Refused {
        /// Who.
        peer: PeerId,
        /// Why, as it says.
        reason: String,
    },
    /// The answer is none, or one to another question.
    #[error("peer {0} gave an answer that is none")]
    Nonsense(PeerId),
}

/// Asks a peer. `wanted` takes the reply apart; what it gives nothing for is blamed on the peer.
///
/// # Errors
/// Why there is no answer.
pub async fn ask<T>(
    network: &NetworkHandle,
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    question: &Question,
    wanted: impl FnOnce(Reply) -> Option<T>,
) -> Result<T, AskError> {
    let bytes = network.request(peer, addresses, question.to_bytes()).await?;
    match Reply::from_bytes(&bytes) {
        Ok(Reply::Refused(reason)) => Err(AskError::Refused { peer, reason: reason.to_string() }),
        reply => reply.ok().and_then(wanted).ok_or_else(|| {
            network.blame(peer);
            AskError::Nonsense(peer)
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn questions_and_replies_come_back_and_every_cut_is_refused() {
        let owner = SecretKey::from_seed(&[1; 32]).public().into();
        let questions = [
            Question::Status,
            Question::Submit(List::default()),
            Question::Neighbours,
            Question::Find(Bytes::new([7; 34]).unwrap()),
            Question::Blocks { pack: ContentId::of_raw(b"x"), index: 3, first: 7, count: 2 },
            Question::Entrust { owner, pack: ContentId::of_raw(b"x"), secret: SentSecret([9; 32]) },
            Question::SnapshotChunk { height: 500, index: 3 },
            Question::Steps { since: 0, until: 500 },
        ];
        assert!(!format!("{questions:?}").contains("9, 9"));
        for question in questions {
            let bytes = question.to_bytes();
            assert_eq!(Question::from_bytes(&bytes).unwrap(), question);
            (0..bytes.len()).for_each(|end| assert!(Question::from_bytes(&bytes[..end]).is_err()));
        }
        let status = NodeStatus {
            chain: ChainId([1; 32]),
            height: 7,
            block: BlockId([2; 32]),
            state_root: Hash([3; 32]),
            waiting: 4,
            round: Some(1),
            is_voting: true,
        };
        let replies = [
            Reply::refused("no"),
            Reply::Status(status),
            Reply::Submitted(List::new([Submitted::Refused(short("late"))]).unwrap()),
            Reply::Found(List::new([Text::new("12D3").unwrap()]).unwrap(), 3),
            Reply::Absent,
            Reply::Held(List::new([0, 7]).unwrap()),
        ];
        for reply in replies {
            let bytes = reply.to_bytes();
            assert_eq!(Reply::from_bytes(&bytes).unwrap(), reply);
            (0..bytes.len()).for_each(|end| assert!(Reply::from_bytes(&bytes[..end]).is_err()));
            assert!(Reply::from_bytes(&[bytes.as_slice(), b"x"].concat()).is_err());
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(short(&"ä".repeat(1_000)).len(), REASON_CHARACTERS);
        assert_eq!(short(&format!("x{}", "ä".repeat(1_000))).len(), REASON_CHARACTERS - 1);
    }
}
