//! Proofs for light clients: made by who has the chain, checked by who has its genesis.
//!
//! ```text
//! "CLPROOF\x02" · the canonical encoding of a Proof
//! ```

use std::io::{self, Read};

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{DecodeError, List, decode, encode};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::{BlockId, ChainId, Hash};
use chronolith_chain::header::Header;
use chronolith_chain::ledger::{AnchorKey, Anchored};
use chronolith_chain::light::{
    Bundle, Fact, FactError, Options, Proved, Prover, Refused, Step, StepError, Trusted,
};
use chronolith_chain::state::Key;
use chronolith_chain::validator_set::{ValidatorSet, ValidatorSetError};
use chronolith_merkle::{ProofError, leaf_hash};

use super::{Chain, ChainError};

/// What a proof begins with.
pub const MAGIC: &[u8; 8] = b"CLPROOF\x02";
/// A genesis that is larger stays out of proofs: the verifier has to have it.
const GENESIS_MOST: usize = 64 << 10;
/// The largest encoding of a proof: bytes.
const ENCODED_MOST: usize = Bundle::MAX_BYTES + GENESIS_MOST + 4_096;
/// The largest file of a proof: bytes. A larger one is neither written nor read.
const FILE_MOST: usize = MAGIC.len() + ENCODED_MOST;

/// Facts of a chain, for who trusts its genesis or the genesis' hash, which is the chain's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    /// What the chain began with, where it is small.
    pub genesis: Option<Genesis>,
    /// The block that the proof begins at instead, for who trusts its id.
    pub start: Option<Start>,
    /// The way from a chunk to an anchor, where the facts are about a chunk. The anchor is the
    /// first fact then.
    pub chunk: Option<ChunkPath>,
    /// The facts.
    pub bundle: Bundle,
}

/// A block that a proof begins at: its id commits to its header, and that to the set.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Start {
    /// The header.
    pub header: Header,
    /// The validators that committed it.
    pub validators: ValidatorSet,
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
    #[error("this is no proof: it does not begin with CLPROOF and version 2")]
    Magic,
    /// It is not encoded as it should be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is longer than any proof.
    #[error("this is longer than {FILE_MOST} bytes, which no proof is")]
    TooLarge,
    /// The genesis in it is another than the trusted one.
    #[error("the proof is of the chain {found}, and {trusted} is trusted")]
    OtherChain {
        /// The trusted chain.
        trusted: ChainId,
        /// The proof's.
        found: ChainId,
    },
    /// It has no genesis.
    #[error(
        "the proof holds no genesis: it is large, or the proof begins at a later block. Give it with \
         --genesis FILE, or the id of that block with --block"
    )]
    NoGenesis,
    /// It has no header that is trusted.
    #[error(
        "the proof does not begin at the block {trusted}; make one that does with --since and the \
         height of that block"
    )]
    OtherStart {
        /// The trusted block.
        trusted: BlockId,
    },
    /// The trusted header does not fit what is beside it.
    #[error("the trusted block: {0}")]
    Start(#[from] StepError),
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
    ///
    /// # Errors
    /// [`ChainError::LongProof`] where nobody would read them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ChainError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(self));
        match bytes.len() {
            ..=FILE_MOST => Ok(bytes),
            found => Err(ChainError::LongProof { found, most: FILE_MOST }),
        }
    }

    /// Reads the bytes of a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofRefused> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ProofRefused::Magic)?;
        Ok(decode("a proof", rest, ENCODED_MOST)?)
    }

    /// Reads a file, and how many bytes it has.
    ///
    /// # Errors
    /// What is no proof; of what is too long, no more is read than a proof may have.
    pub fn read(input: impl Read) -> Result<(Self, usize), ProofRefused> {
        let mut bytes = Vec::new();
        // One byte more than allowed, so that what is too long does not look like what is not.
        input.take(FILE_MOST as u64 + 1).read_to_end(&mut bytes)?;
        if !bytes.starts_with(MAGIC) {
            return Err(ProofRefused::Magic);
        }
        if bytes.len() > FILE_MOST {
            return Err(ProofRefused::TooLarge);
        }
        Ok((Self::from_bytes(&bytes)?, bytes.len()))
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

    /// Checks everything but the chunk's path from a genesis on, at a time in nanoseconds since the
    /// epoch.
    pub fn verify(
        &self,
        genesis: &Genesis,
        now_ns: u64,
        options: &Options,
    ) -> Result<Proved, ProofRefused> {
        let trusted = Trusted::genesis(genesis)?;
        Ok(self.bundle.verify(&trusted, now_ns, options)?)
    }

    /// The same from the block on that the proof begins at, which is trusted by its id.
    pub fn verify_since(
        &self,
        block: BlockId,
        now_ns: u64,
        options: &Options,
    ) -> Result<Proved, ProofRefused> {
        let start = self.start.as_ref().filter(|start| start.header.id() == block);
        let start = start.ok_or(ProofRefused::OtherStart { trusted: block })?;
        let trusted = Trusted::header(start.header.clone(), start.validators.clone())?;
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

/// The height of a header that the verifier trusts already; 0 for the genesis.
#[derive(Debug, Clone, Copy, Default)]
pub struct Since(pub u64);

impl Since {
    /// Proves what the present state holds under a key, or that it holds nothing.
    pub fn state<K: Key>(self, chain: &Chain, key: &K) -> Result<Proof, ChainError> {
        self.entries(chain, &[key.to_bytes()])
    }

    /// The same for several keys at once, by their bytes.
    pub fn entries(self, chain: &Chain, keys: &[Vec<u8>]) -> Result<Proof, ChainError> {
        let facts = chain.prover()?.entries(keys)?;
        self.proof(chain, None, facts)
    }

    /// Proves that a chunk is in a seal batch that is anchored.
    pub fn chunk(self, chain: &Chain, path: ChunkPath) -> Result<Proof, ChainError> {
        let key = AnchorKey { producer: path.producer, root: path.root.0 };
        let proof = self.state(chain, &key)?;
        Ok(Proof { chunk: Some(path), ..proof })
    }

    /// Proves a transaction of a block and what became of it.
    pub fn transaction(self, chain: &Chain, height: u64, index: u32) -> Result<Proof, ChainError> {
        let facts = chain.prover()?.transaction(height, index)?;
        self.proof(chain, Some(height), facts.to_vec())
    }

    /// Proves the header of a block.
    pub fn header(self, chain: &Chain, height: u64) -> Result<Proof, ChainError> {
        self.proof(chain, Some(height), Vec::new())
    }

    fn proof(self, chain: &Chain, of: Option<u64>, facts: Vec<Fact>) -> Result<Proof, ChainError> {
        self.proof_by(&chain.prover()?, Some(chain.genesis()), of, facts)
    }

    /// The proof of facts of a block, which is the last one unless a height is named.
    ///
    /// # Errors
    /// Where the way to it cannot be made.
    pub fn proof_by(
        self,
        prover: &Prover<'_>,
        genesis: Option<&Genesis>,
        of: Option<u64>,
        facts: Vec<Fact>,
    ) -> Result<Proof, ChainError> {
        let bundle = prover.bundle(self.0, of, facts)?;
        if self.0 > 0 {
            let Step { header, validators, .. } = prover.step(self.0)?;
            let start = Some(Start { header, validators });
            return Ok(Proof { genesis: None, start, chunk: None, bundle });
        }
        let genesis = genesis.filter(|genesis| encode(*genesis).len() <= GENESIS_MOST).cloned();
        Ok(Proof { genesis, start: None, chunk: None, bundle })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::encoding::Bytes;
    use chronolith_chain::light::BUNDLE_VERSION;
    use chronolith_chain::state::{ProofEnd, StateProof};

    use super::*;

    /// A proof of so many values of the largest size.
    fn proof(values: usize) -> Proof {
        let fact = Fact::State {
            key: Bytes::new([1; 128]).unwrap(),
            value: Some(Bytes::new(vec![2; 256 << 10]).unwrap()),
            proof: StateProof { beside: List::default(), end: ProofEnd::Present },
        };
        let bundle = Bundle {
            version: BUNDLE_VERSION,
            chain: ChainId([3; 32]),
            steps: List::default(),
            ancestor: None,
            facts: List::new(vec![fact; values]).unwrap(),
        };
        Proof { genesis: None, start: None, chunk: None, bundle }
    }

    /// More was written than would be read, and what is too long was read in part and told as damaged.
    #[test]
    fn all_that_is_written_is_read_and_no_more() {
        let large = proof(127);
        let bytes = large.to_bytes().unwrap();
        assert_eq!(Proof::read(bytes.as_slice()).unwrap(), (large, bytes.len()));
        assert!(matches!(
            proof(129).to_bytes(),
            Err(ChainError::LongProof { most: FILE_MOST, .. })
        ));

        let mut bytes = bytes;
        bytes.resize(FILE_MOST, 0);
        assert!(matches!(Proof::read(bytes.as_slice()), Err(ProofRefused::Decode(_))));
        let endless = bytes.as_slice().chain(io::repeat(0));
        assert!(matches!(Proof::read(endless), Err(ProofRefused::TooLarge)));
        assert!(matches!(Proof::read(io::repeat(0)), Err(ProofRefused::Magic)));
    }
}
