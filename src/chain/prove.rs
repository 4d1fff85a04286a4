//! Proofs for light clients: made by who has the chain, checked by who has its genesis.
//!
//! ```text
//! "CLPROOF\x01" · the canonical encoding of a Proof
//! ```

use std::collections::HashMap;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::consensus::message::Decided;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, DecodeError, List, decode, encode};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::history::HistoryProof;
use chronolith_chain::ledger::{AnchorKey, Anchored, Validators};
use chronolith_chain::light::{
    Ancestor, BUNDLE_VERSION, Bundle, Fact, FactError, Options, Proved, Refused, Step, Trusted,
};
use chronolith_chain::list::ListProof;
use chronolith_chain::state::Key;
use chronolith_chain::validator_set::{ValidatorSet, ValidatorSetError};
use chronolith_merkle::{ProofError, leaf_hash};

use super::{Chain, ChainError, Replay};

/// What a proof begins with.
pub const MAGIC: &[u8; 8] = b"CLPROOF\x01";
/// A genesis that is larger stays out of proofs: the verifier has to have it.
const GENESIS_MOST: usize = 64 << 10;
/// The largest proof: bytes.
const PROOF_MOST: usize = Bundle::MAX_BYTES + GENESIS_MOST + 4_096;

/// Facts of a chain, for who trusts its genesis or the genesis' hash, which is the chain's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// What the chain began with, where it is small.
    pub genesis: Option<Genesis>,
    /// The way from a chunk to an anchor, where the facts are about a chunk. The anchor is the
    /// first fact then.
    pub chunk: Option<ChunkPath>,
    /// The facts.
    pub bundle: Bundle,
}

/// The way from a chunk to the root of its seal batch.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkPath {
    /// The chunk: the content id of its header.
    pub chunk: ContentId,
    /// Its place in the batch.
    pub index: u32,
    /// The hashes beside the way.
    pub path: List<Hash, 32>,
    /// Who anchored the batch.
    pub producer: Address,
    /// The root of the batch.
    pub root: Hash,
}

/// What a proof about a chunk proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedChunk {
    /// The chunk.
    pub chunk: ContentId,
    /// Who anchored it.
    pub producer: Address,
    /// In which batch.
    pub root: Hash,
    /// When, and how many chunks the batch has.
    pub anchored: Anchored,
}

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofRefused {
    /// It is something else.
    #[error("this is no proof: it does not begin with CLPROOF and version 1")]
    Magic,
    /// It is not encoded as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The genesis in it is another than the trusted one.
    #[error("the proof is of the chain {found}, and {trusted} is trusted")]
    OtherChain {
        /// The trusted chain.
        trusted: ChainId,
        /// The proof's.
        found: ChainId,
    },
    /// It has no genesis.
    #[error("the proof holds no genesis, because it is large; give it with --genesis FILE")]
    NoGenesis,
    /// The genesis has no validators.
    #[error(transparent)]
    Set(#[from] ValidatorSetError),
    /// The facts do not follow from what is trusted.
    #[error(transparent)]
    Bundle(#[from] Refused),
    /// The first fact is not the anchor.
    #[error("the proof of a chunk does not begin with its anchor: {0}")]
    Anchor(#[from] FactError),
    /// The batch is not anchored.
    #[error("the proof shows that the batch is not anchored")]
    NotAnchored,
    /// The way from the chunk does not lead to the anchored root.
    #[error("the chunk is not in the anchored batch: {0}")]
    Chunk(#[from] ProofError),
}

impl Proof {
    /// The bytes of a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(self));
        bytes
    }

    /// Reads the bytes of a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofRefused> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ProofRefused::Magic)?;
        Ok(decode("a proof", rest, PROOF_MOST)?)
    }

    /// What the proof says the chain began with, where that has the trusted id.
    ///
    /// # Errors
    /// [`ProofRefused::OtherChain`], [`ProofRefused::NoGenesis`].
    pub fn genesis_of(&self, trusted: ChainId) -> Result<&Genesis, ProofRefused> {
        let genesis = self.genesis.as_ref().ok_or(ProofRefused::NoGenesis)?;
        let found = genesis.chain_id();
        if found == trusted {
            Ok(genesis)
        } else {
            Err(ProofRefused::OtherChain { trusted, found })
        }
    }

    /// Checks everything but the chunk's path, at a time in nanoseconds since the epoch.
    pub fn verify(
        &self,
        genesis: &Genesis,
        now_ns: u64,
        options: &Options,
    ) -> Result<Proved, ProofRefused> {
        let trusted = Trusted::genesis(genesis)?;
        Ok(self.bundle.verify(&trusted, now_ns, options)?)
    }

    /// What the proof says of a chunk, once [`Proof::verify`] held; none where it is about
    /// something else.
    pub fn chunk(&self) -> Result<Option<ProvedChunk>, ProofRefused> {
        let Some(path) = &self.chunk else { return Ok(None) };
        let ChunkPath { chunk, producer, root, .. } = path;
        let key = AnchorKey { producer: *producer, root: root.0 };
        let first = self.bundle.facts.first().ok_or(FactError::Other)?;
        let anchored = first.value(&key)?.ok_or(ProofRefused::NotAnchored)?;
        let hashes = path.path.iter().map(|hash| hash.0).collect();
        let leaf = leaf_hash(chunk.as_bytes());
        let (index, count) = (path.index as usize, anchored.chunks as usize);
        chronolith_merkle::Proof { hashes }.verify(&root.0, count, &[index], &[leaf])?;
        Ok(Some(ProvedChunk { chunk: *chunk, producer: *producer, root: *root, anchored }))
    }
}

fn cannot(error: impl std::fmt::Display) -> ChainError {
    ChainError::Proof(error.to_string())
}

/// Proves what the present state holds under a key, or that it holds nothing.
pub fn state<K: Key>(chain: &Chain, key: &K) -> Result<Proof, ChainError> {
    entries(chain, &[key.to_bytes()])
}

/// The same for several keys at once, by their bytes.
pub fn entries(chain: &Chain, keys: &[Vec<u8>]) -> Result<Proof, ChainError> {
    let height = chain.height()?;
    let mut facts = Vec::with_capacity(keys.len());
    for key in keys {
        let (value, proof) = chain.state()?.prove(height, key)?;
        let value = value.map(Bytes::new).transpose()?;
        facts.push(Fact::State { key: Bytes::new(key.clone())?, value, proof });
    }
    bundle(chain, None, facts)
}

/// Proves that a chunk is in a seal batch that is anchored.
pub fn chunk(chain: &Chain, path: ChunkPath) -> Result<Proof, ChainError> {
    let key = AnchorKey { producer: path.producer, root: path.root.0 };
    let proof = state(chain, &key)?;
    Ok(Proof { chunk: Some(path), ..proof })
}

/// Proves a transaction of a block and what became of it.
pub fn transaction(chain: &Chain, height: u64, index: u32) -> Result<Proof, ChainError> {
    let Decided { block, .. } = chain.block(height)?;
    let receipts = receipts(chain, height)?;
    let place = index as usize;
    let (Some(transaction), Some(receipt)) = (block.transactions.get(place), receipts.get(place))
    else {
        return Err(cannot(format!("the block has {} transactions", receipts.len())));
    };
    let ids = block.transactions.iter().map(|transaction| transaction.body.id());
    let proof = ListProof::new(ids, index).map_err(cannot)?;
    let transaction = Box::new(transaction.clone());
    let said = Fact::Transaction { index, transaction, proof };
    let proof = ListProof::new(receipts.iter(), index).map_err(cannot)?;
    let became = Fact::Receipt { index, receipt: receipt.clone(), proof };
    bundle(chain, Some(height), vec![said, became])
}

/// What became of the transactions of a block. They are not kept: the blocks up to it are executed
/// once more.
pub fn receipts(
    chain: &Chain,
    height: u64,
) -> Result<Vec<chronolith_chain::ledger::Receipt>, ChainError> {
    let mut replay = Replay::new(chain.genesis())?;
    let mut receipts = Vec::new();
    for at in 1..=height {
        receipts = replay.apply(&chain.block(at)?)?;
    }
    Ok(receipts)
}

fn bundle(chain: &Chain, of: Option<u64>, facts: Vec<Fact>) -> Result<Proof, ChainError> {
    let height = chain.height()?;
    let ancestor = match of {
        Some(of) if of != height => {
            let proof = HistoryProof::new(chain.blocks()?, height, of).map_err(cannot)?;
            Some(Ancestor { header: chain.block(of)?.block.header, proof })
        }
        _ => None,
    };
    let bundle = Bundle {
        version: BUNDLE_VERSION,
        chain: chain.id(),
        steps: List::new(steps(chain, height)?)?,
        ancestor,
        facts: List::new(facts)?,
    };
    let genesis = chain.genesis();
    let genesis = (encode(genesis).len() <= GENESIS_MOST).then(|| genesis.clone());
    Ok(Proof { genesis, chunk: None, bundle })
}

/// The fewest steps from the genesis to a height: the last block of each set of validators, which
/// has signed the next set, and the block itself.
fn steps(chain: &Chain, height: u64) -> Result<Vec<Step>, ChainError> {
    if height == 0 {
        return Err(cannot("the chain has no block yet; a transaction makes one"));
    }
    let mut sets = Sets::new(chain)?;
    let mut steps = Vec::new();
    let mut before: Option<Decided> = None;
    for at in 1..=height {
        let decided = chain.block(at)?;
        if let Some(before) = before.replace(decided)
            && before.block.header.next_validators != before.block.header.validators
        {
            steps.push(sets.step(chain, before)?);
        }
    }
    if let Some(last) = before {
        steps.push(sets.step(chain, last)?);
    }
    Ok(steps)
}

/// The sets of validators that were, by their hashes.
struct Sets {
    known: HashMap<Hash, ValidatorSet>,
    are_all: bool,
}

impl Sets {
    fn new(chain: &Chain) -> Result<Self, ChainError> {
        let mut sets = Self { known: HashMap::new(), are_all: false };
        sets.learn(&Validators::of(chain.state()?)?)?;
        Ok(sets)
    }

    fn learn(&mut self, validators: &Validators) -> Result<(), ChainError> {
        for seats in [&validators.last, &validators.next] {
            let set = ValidatorSet::from_seats(seats)?;
            self.known.insert(set.hash(), set);
        }
        Ok(())
    }

    /// Older sets are only in older states, which are executed once more.
    fn learn_all(&mut self, chain: &Chain) -> Result<(), ChainError> {
        let mut replay = Replay::new(chain.genesis())?;
        self.learn(&Validators::of(replay.state())?)?;
        for at in 1..=chain.height()? {
            replay.apply(&chain.block(at)?)?;
            self.learn(&Validators::of(replay.state())?)?;
        }
        self.are_all = true;
        Ok(())
    }

    fn step(&mut self, chain: &Chain, decided: Decided) -> Result<Step, ChainError> {
        let Decided { block, certificate } = decided;
        let header = block.header;
        if !self.known.contains_key(&header.validators) && !self.are_all {
            self.learn_all(chain)?;
        }
        let validators = self.known.get(&header.validators).cloned();
        let validators = validators.ok_or_else(|| cannot("the set of a block is not known"))?;
        Ok(Step { header, validators, certificate })
    }
}
