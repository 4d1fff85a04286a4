//! Audits as anybody sees them: what a peer is asked, what it answers, and whether that is a lie.

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_fragment::BLOCK_BYTES;
use chronolith_merkle::{Proof, ProofError, leaf_hash};

use super::assigned::{Assigned, AssignedError, Located};
use super::audit::{AUDIT_SAMPLES, audit_seed, audited_blocks};
use super::sum_tree::{AssignedFragment, Peak, SumPath};
use super::{BeaconKey, Fragment, PeerKey};
use crate::address::Address;
use crate::encoding::{DecodeError, List, decode, encode};
use crate::hash::{ChainId, Domain, Hash};
use crate::keys::{SecretKey, Signature, verify};
use crate::state::{Overlay, StateError, View};
use crate::transaction::MAX_TRANSACTION_BYTES;

/// The longest answer in bytes; one of 20 samples is about 20 kB.
pub const ANSWER_BYTES_MAX: usize = 62 << 10;
/// The most samples of an answer.
const SAMPLES_MAX: usize = 64;

/// The longest sample in bytes.
const SAMPLE_BYTES_MAX: usize = 73 + (4 + 32 * 41) + BLOCK_BYTES + (4 + 16 * 32);
// Whatever a peer is asked can be answered, and whatever is taken for an answer can be reported.
const _: () = assert!(AUDIT_SAMPLES <= SAMPLES_MAX);
const _: () = assert!(108 + AUDIT_SAMPLES * SAMPLE_BYTES_MAX <= ANSWER_BYTES_MAX);
const _: () = assert!(ANSWER_BYTES_MAX + 1024 <= MAX_TRANSACTION_BYTES);

/// What a peer is asked about an epoch that is over. It follows from the chain alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The chain.
    pub chain: ChainId,
    /// The epoch.
    pub epoch: u64,
    /// What the blocks are drawn by.
    pub seed: Hash,
    /// Who is asked.
    pub peer: Address,
    /// The root over all that the peer was assigned at the end of the epoch.
    pub assigned: Peak,
    /// The numbers of the blocks, rising.
    pub blocks: Vec<u64>,
}

impl Question {
    /// The question to a peer about an epoch, by a state of the next epoch or, while it is known
    /// there, of a later one; none where the epoch is not over, or the peer has nothing to show.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn of(
        state: &dyn View,
        chain: ChainId,
        epoch: u64,
        peer: Address,
    ) -> Result<Option<Self>, StateError> {
        Self::under(&Overlay::new(state), chain, epoch, peer)
    }

    /// The same while a block is executed.
    pub(super) fn under(
        state: &Overlay<'_>,
        chain: ChainId,
        epoch: u64,
        peer: Address,
    ) -> Result<Option<Self>, StateError> {
        let Some(beacon) = state.get(&BeaconKey { epoch })? else { return Ok(None) };
        let Some(found) = state.get(&PeerKey { peer })? else { return Ok(None) };
        let assigned = found.assignment.at_end_of(epoch).and_then(|root| root.peak());
        let ask = |assigned| Self::new(chain, epoch, beacon, peer, assigned, AUDIT_SAMPLES);
        Ok(assigned.map(ask))
    }

    /// The question to a peer, by what the ledger says at the end of an epoch. `count` is
    /// [`AUDIT_SAMPLES`], but in simulations.
    #[must_use]
    pub fn new(
        chain: ChainId,
        epoch: u64,
        beacon: Hash,
        peer: Address,
        assigned: Peak,
        count: usize,
    ) -> Self {
        let seed = audit_seed(chain, epoch, beacon);
        let blocks = audited_blocks(&seed, peer, assigned.blocks, count.min(SAMPLES_MAX));
        Self { chain, epoch, seed, peer, assigned, blocks }
    }
}

/// A block that was asked for, with its way to the root.
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
pub struct Sample {
    /// The fragment that it is of.
    pub fragment: AssignedFragment,
    /// The fragment's way to the root over all that the peer was assigned.
    pub place: SumPath,
    /// The block, masked as it is kept.
    #[serde(with = "crate::json::hex")]
    pub block: [u8; BLOCK_BYTES],
    /// The block's way to the fragment's root.
    pub path: List<Hash, 16>,
}

/// An answer: a sample for each block that was asked for, signed.
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
pub struct Answer {
    /// The epoch.
    pub epoch: u64,
    /// Who answers.
    pub peer: Address,
    /// The samples, in the order of the question.
    pub samples: List<Sample, SAMPLES_MAX>,
    /// The signature of the answer and its question.
    pub signature: Signature,
}

/// What is wrong with a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleFault {
    /// It leads to another root than the ledger has of the peer.
    #[error("it is not of what the peer was assigned")]
    NotAssigned,
    /// Another block was asked for.
    #[error("it is of another block than the one that was asked for")]
    OtherBlock,
    /// The block is not the fragment's.
    #[error("the block is not the one that was assigned: {0}")]
    Block(#[from] ProofError),
}

/// Why an answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerFault {
    /// It is not an answer to this question: another epoch or peer.
    #[error("the answer is of another epoch or peer")]
    OtherQuestion,
    /// Whoever sent it did not sign it for this question: it says nothing of the peer.
    #[error("the answer is not signed by the peer for this question")]
    Signature,
    /// Another number of samples than was asked for.
    #[error("the answer has {found} samples where {expected} were asked for")]
    Count {
        /// How many were asked for.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A sample is wrong.
    #[error("sample {index}: {fault}")]
    Sample {
        /// Which.
        index: usize,
        /// What is wrong with it.
        fault: SampleFault,
    },
}

/// Why a peer says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Abstention {
    /// A block that is asked for is not there.
    #[error("block {row} of fragment {} of pack {} is not there", fragment.index, fragment.pack)]
    Missing {
        /// Of which fragment.
        fragment: Fragment,
        /// Which block.
        row: u32,
    },
    /// What was assigned is not what the question is about.
    #[error(transparent)]
    Assigned(#[from] AssignedError),
    /// The answer would be refused.
    #[error("the answer would be refused: {0}")]
    Wrong(#[from] AnswerFault),
    /// More blocks are asked for than an answer holds.
    #[error("more blocks are asked for than an answer holds")]
    TooMany,
}

impl AnswerFault {
    /// Whether the peer signed something false, which costs its bond; what others send in its name
    /// does not.
    #[must_use]
    pub const fn is_lie(&self) -> bool {
        matches!(self, Self::Count { .. } | Self::Sample { .. })
    }
}

impl Sample {
    /// A sample of a block that a peer has.
    #[must_use]
    pub fn new(located: Located, block: [u8; BLOCK_BYTES], path: &Proof) -> Option<Self> {
        let path: Vec<Hash> = path.hashes.iter().map(|hash| Hash(*hash)).collect();
        let path = List::new(path).ok()?;
        Some(Self { fragment: located.fragment, place: located.place, block, path })
    }

    fn check(&self, number: u64, assigned: &Peak) -> Result<(), SampleFault> {
        let root = self.place.root(&self.fragment.leaf());
        let (root, first) = root.map_err(|_| SampleFault::NotAssigned)?;
        if (root.hash, root.blocks) != (assigned.hash, assigned.blocks) {
            return Err(SampleFault::NotAssigned);
        }
        let row = number.checked_sub(first).filter(|row| *row < self.fragment.blocks.into());
        let row = row.ok_or(SampleFault::OtherBlock)? as usize;
        let proof = Proof { hashes: self.path.iter().map(|hash| hash.0).collect() };
        let (count, leaf) = (self.fragment.blocks as usize, leaf_hash(&self.block));
        Ok(proof.verify(&self.fragment.root.0, count, &[row], &[leaf])?)
    }
}

/// What is signed: the question and all of the answer.
fn message(question: &Question, samples: &List<Sample, SAMPLES_MAX>) -> Hash {
    let Question { chain, epoch, seed, peer, .. } = question;
    Domain::AuditAnswer.hash_of(&(chain, epoch, seed, peer, samples))
}

impl Answer {
    /// The honest answer of a peer, by what it was assigned and a way to get a block of a fragment
    /// with its way to the fragment's root. It is checked before it is signed: the peer says nothing
    /// rather than something wrong, since silence costs an epoch's pay, and a lie the bond.
    ///
    /// # Errors
    /// Why the peer had better say nothing.
    pub fn make(
        question: &Question,
        assigned: &Assigned,
        key: &SecretKey,
        mut block: impl FnMut(&AssignedFragment, u32) -> Option<([u8; BLOCK_BYTES], Proof)>,
    ) -> Result<Self, Abstention> {
        let mut samples = Vec::with_capacity(question.blocks.len());
        for number in &question.blocks {
            let located = assigned.locate(*number)?;
            let (fragment, row) = (located.fragment.fragment, located.row);
            let missing = Abstention::Missing { fragment, row };
            let found = block(&located.fragment, row);
            let sample = found.and_then(|(block, path)| Sample::new(located, block, &path));
            samples.push(sample.ok_or(missing)?);
        }
        Self::check_samples(question, &samples)?;
        Self::sign(question, samples, key).ok_or(Abstention::TooMany)
    }

    /// Signs samples as the answer to a question, without checking them: [`Answer::make`] does.
    #[must_use]
    pub fn sign(question: &Question, samples: Vec<Sample>, key: &SecretKey) -> Option<Self> {
        let samples = List::new(samples).ok()?;
        let signature = key.sign(&message(question, &samples));
        Some(Self { epoch: question.epoch, peer: question.peer, samples, signature })
    }

    /// Checks samples against a question.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong.
    pub fn check_samples(question: &Question, samples: &[Sample]) -> Result<(), AnswerFault> {
        let (expected, found) = (question.blocks.len(), samples.len());
        if expected != found {
            return Err(AnswerFault::Count { expected, found });
        }
        for (index, (sample, number)) in samples.iter().zip(&question.blocks).enumerate() {
            let checked = sample.check(*number, &question.assigned);
            checked.map_err(|fault| AnswerFault::Sample { index, fault })?;
        }
        Ok(())
    }

    /// Checks an answer against its question: the whole of what a validator does for each peer.
    ///
    /// # Errors
    /// Why it is refused; see [`AnswerFault::is_lie`].
    pub fn check(&self, question: &Question) -> Result<(), AnswerFault> {
        if (self.epoch, self.peer) != (question.epoch, question.peer) {
            return Err(AnswerFault::OtherQuestion);
        }
        if !verify(&self.peer.key(), &message(question, &self.samples), &self.signature) {
            return Err(AnswerFault::Signature);
        }
        Self::check_samples(question, &self.samples)
    }

    /// The encoding that is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Bytes that are not an answer of at most 62 KiB.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode("an answer to an audit", bytes, ANSWER_BYTES_MAX)
    }
}
