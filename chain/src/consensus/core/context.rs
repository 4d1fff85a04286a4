//! What the core is generic over, in the terms of this crate.

use std::fmt;
use std::sync::Arc;

use arc_malachitebft_core_types as malachite;
use malachite::{Height as _, NilOrVal, Round, VoteType};

use crate::hash::{BlockId, ChainId};
use crate::keys::{PublicKey, Signature};
use crate::vote::{Proposal, Step, Vote};

/// The chain that votes are for; the core makes its votes and proposals through it.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) chain: ChainId,
}

/// A validator, by the key that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Voter(pub(super) PublicKey);

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl malachite::Address for Voter {}

/// A height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Height(pub(super) u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl malachite::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

/// What is decided on: a block, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value(pub(super) BlockId);

impl malachite::Value for Value {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.0
    }
}

/// A proposal and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreProposal {
    pub(super) message: Proposal,
    pub(super) voter: Voter,
    value: Value,
}

impl CoreProposal {
    pub(super) fn new(message: Proposal, voter: PublicKey) -> Self {
        Self { message, voter: Voter(voter), value: Value(message.block) }
    }
}

impl malachite::Proposal<Context> for CoreProposal {
    fn height(&self) -> Height {
        Height(self.message.height)
    }

    fn round(&self) -> Round {
        Round::new(self.message.round)
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        Round::from(self.message.valid_round)
    }

    fn validator_address(&self) -> &Voter {
        &self.voter
    }
}

/// A vote and who cast it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreVote {
    pub(super) message: Vote,
    pub(super) voter: Voter,
    value: NilOrVal<BlockId>,
}

impl CoreVote {
    pub(super) fn new(message: Vote, voter: PublicKey) -> Self {
        Self { message, voter: Voter(voter), value: nil_or(message.block) }
    }
}

/// No block is a vote for nil.
pub(super) fn nil_or(block: Option<BlockId>) -> NilOrVal<BlockId> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

/// The block of a vote, if it is not for nil.
pub(super) fn block_of(value: &NilOrVal<BlockId>) -> Option<BlockId> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(*block),
    }
}

impl malachite::Vote<Context> for CoreVote {
    fn height(&self) -> Height {
        Height(self.message.height)
    }

    fn round(&self) -> Round {
        Round::new(self.message.round)
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        match self.message.step {
            Step::Prevote => VoteType::Prevote,
            Step::Precommit => VoteType::Precommit,
        }
    }

    fn validator_address(&self) -> &Voter {
        &self.voter
    }

    fn extension(&self) -> Option<&malachite::SignedExtension<Context>> {
        None
    }

    fn take_extension(&mut self) -> Option<malachite::SignedExtension<Context>> {
        None
    }

    fn extend(self, _: malachite::SignedExtension<Context>) -> Self {
        self
    }
}

/// Blocks travel as messages of their own, not as parts that the core would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoPart;

impl malachite::ProposalPart<Context> for NoPart {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

/// A validator of a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreMember {
    pub(super) voter: Voter,
    pub(super) power: u64,
}

impl malachite::Validator<Context> for CoreMember {
    fn address(&self) -> &Voter {
        &self.voter
    }

    fn public_key(&self) -> &PublicKey {
        &self.voter.0
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

/// The validators of a height, sorted by key. All their power is below a third of 2⁶⁴, because the
/// core multiplies it by three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CoreSet(Arc<[CoreMember]>);

impl CoreSet {
    /// The set of keys and their powers.
    pub(super) fn new(members: impl IntoIterator<Item = (PublicKey, u64)>) -> Self {
        let member = |(key, power)| CoreMember { voter: Voter(key), power };
        let mut members: Vec<CoreMember> = members.into_iter().map(member).collect();
        members.sort_unstable_by_key(|member| member.voter);
        Self(members.into())
    }
}

impl malachite::ValidatorSet<Context> for CoreSet {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.iter().fold(0, |sum, member| sum.saturating_add(member.power))
    }

    fn get_by_address(&self, address: &Voter) -> Option<&CoreMember> {
        let index = self.0.binary_search_by_key(address, |member| member.voter).ok()?;
        self.0.get(index)
    }

    fn get_by_index(&self, index: usize) -> Option<&CoreMember> {
        self.0.get(index)
    }
}

/// The keys and signatures of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheme;

impl malachite::SigningScheme for Scheme {
    type DecodingError = &'static str;
    type Signature = Signature;
    type PublicKey = PublicKey;
    // The core never signs by itself.
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, &'static str> {
        bytes.try_into().map(Signature).map_err(|_| "a signature has 64 bytes")
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, &'static str> {
        bytes.try_into().map(PublicKey).map_err(|_| "a public key has 32 bytes")
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.0.to_vec()
    }
}

impl malachite::Context for Context {
    type Address = Voter;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = CoreProposal;
    type Validator = CoreMember;
    type ValidatorSet = CoreSet;
    type Timeouts = malachite::LinearTimeouts;
    type Value = Value;
    type Vote = CoreVote;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(
        &self,
        set: &'a CoreSet,
        height: Height,
        round: Round,
    ) -> &'a CoreMember {
        let round = round.as_u32().unwrap_or(0);
        let index = super::proposer_index(set.0.len(), height.as_u64(), round);
        // The driver starts no height with an empty set.
        &set.0[index]
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        pol_round: Round,
        address: Voter,
    ) -> CoreProposal {
        let message = Proposal {
            chain: self.chain,
            height: height.0,
            round: round.as_u32().unwrap_or(0),
            valid_round: pol_round.as_u32(),
            block: value.0,
        };
        CoreProposal::new(message, address.0)
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        address: Voter,
    ) -> CoreVote {
        self.vote(height, round, Step::Prevote, &value, address)
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        address: Voter,
    ) -> CoreVote {
        self.vote(height, round, Step::Precommit, &value, address)
    }
}

impl Context {
    fn vote(
        &self,
        height: Height,
        round: Round,
        step: Step,
        value: &NilOrVal<BlockId>,
        voter: Voter,
    ) -> CoreVote {
        let round = round.as_u32().unwrap_or(0);
        let message =
            Vote { chain: self.chain, height: height.0, round, step, block: block_of(value) };
        CoreVote::new(message, voter.0)
    }
}
