//! Everything that proves some facts to who trusts one header.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_merkle::ProofError;

use super::{Fact, FactError, Options, Step, StepError, Trusted};
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::ChainId;
use crate::header::{HEADER_VERSION, Header};
use crate::history::HistoryProof;

/// The version of bundles that this program makes and knows.
pub const BUNDLE_VERSION: u16 = 1;

/// Proofs of facts of one block, complete but for the header that the verifier trusts.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bundle {
    /// The version of this structure: [`BUNDLE_VERSION`].
    pub version: u16,
    /// The chain.
    pub chain: ChainId,
    /// From the trusted header to a later one; none where the trusted one is late enough.
    pub steps: List<Step, 1024>,
    /// An older block, proved by the last header; none where the facts are of that one.
    pub ancestor: Option<Ancestor>,
    /// The facts.
    pub facts: List<Fact, 256>,
}

/// An older block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ancestor {
    /// Its header.
    pub header: Header,
    /// The way from its id to the history root of the later header.
    pub proof: HistoryProof,
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The header of the block that the facts are of.
    pub header: Header,
    /// The latest header that is trusted now.
    pub trusted: Trusted,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is of another version.
    #[error("the bundle has version {found}, this program knows {BUNDLE_VERSION}")]
    Version {
        /// Its version.
        found: u16,
    },
    /// It is of another chain.
    #[error("the bundle is of the chain {found}, the trusted header of {expected}")]
    Chain {
        /// The trusted header's chain.
        expected: ChainId,
        /// The bundle's.
        found: ChainId,
    },
    /// A step cannot be made.
    #[error("step {index}: {reason}")]
    Step {
        /// Which one.
        index: usize,
        /// Why.
        reason: StepError,
    },
    /// There is no header: the genesis is trusted, and no step leads on.
    #[error("the genesis is trusted, and the bundle has no header after it")]
    NoHeader,
    /// The older block is of another version or chain than the rest.
    #[error("the older block's header is of another version or chain")]
    OtherAncestor,
    /// The older block is not in the history.
    #[error("the block of height {height} is not in the history of height {of}: {reason}")]
    History {
        /// The older block's height.
        height: u64,
        /// The height of the header that should prove it.
        of: u64,
        /// Why not.
        reason: ProofError,
    },
    /// A fact is none.
    #[error("fact {index}: {reason}")]
    Fact {
        /// Which one.
        index: usize,
        /// Why.
        reason: FactError,
    },
}

impl Bundle {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 32 << 20;

    /// Decodes a bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("a bundle of proofs", bytes, Self::MAX_BYTES)
    }

    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Checks everything, at the verifier's time in nanoseconds since the epoch.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(
        &self,
        trusted: &Trusted,
        now_ns: u64,
        options: &Options,
    ) -> Result<Proved, Refused> {
        if self.version != BUNDLE_VERSION {
            return Err(Refused::Version { found: self.version });
        }
        if self.chain != trusted.chain() {
            return Err(Refused::Chain { expected: trusted.chain(), found: self.chain });
        }
        let mut trusted = trusted.clone();
        for (index, step) in self.steps.iter().enumerate() {
            trusted = trusted
                .advance(step, now_ns, options)
                .map_err(|reason| Refused::Step { index, reason })?;
        }
        let last = trusted.get().ok_or(Refused::NoHeader)?;
        let header = match &self.ancestor {
            Some(ancestor) => ancestor.verify(last)?,
            None => last,
        };
        for (index, fact) in self.facts.iter().enumerate() {
            fact.verify(header).map_err(|reason| Refused::Fact { index, reason })?;
        }
        Ok(Proved { header: header.clone(), trusted })
    }
}

impl Ancestor {
    fn verify(&self, last: &Header) -> Result<&Header, Refused> {
        let Self { header, proof } = self;
        if header.version != HEADER_VERSION || header.chain != last.chain {
            return Err(Refused::OtherAncestor);
        }
        let (height, of) = (header.height, last.height);
        proof
            .verify(&last.history_root, of, height, header.id())
            .map_err(|reason| Refused::History { height, of, reason })?;
        Ok(header)
    }
}
