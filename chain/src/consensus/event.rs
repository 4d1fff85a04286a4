//! What the core of consensus is told, and what it wants done.

use borsh::{BorshDeserialize, BorshSerialize};

use super::message::{FromValidator, Message, Polka, RoundCertificate};
use crate::hash::BlockId;
use crate::keys::{PublicKey, Signature};
use crate::ledger::Evidence;
use crate::vote::{Proposal, Vote};

/// What a timeout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) enum TimerKind {
    /// For a proposal, before prevoting nil.
    Propose,
    /// For more prevotes, after two thirds for different blocks.
    Prevote,
    /// For more precommits, before the next round.
    Precommit,
    /// Before saying again what was said.
    Rebroadcast,
}

/// A timeout of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Timer {
    pub(super) kind: TimerKind,
    pub(super) round: u32,
}

/// What was found of a block that was proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct ProposedBlock {
    pub(super) height: u64,
    pub(super) round: u32,
    pub(super) valid_round: Option<u32>,
    pub(super) proposer: PublicKey,
    pub(super) block: BlockId,
    pub(super) is_valid: bool,
}

/// What the core is told.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Event {
    /// A proposal.
    Proposal(FromValidator<Proposal>),
    /// A vote.
    Vote(FromValidator<Vote>),
    /// Two thirds of prevotes.
    Polka(Polka),
    /// Votes that let a round begin.
    Round(RoundCertificate),
    /// A block arrived and was checked.
    Value(ProposedBlock),
    /// This validator's own block.
    Propose {
        /// The round it is for.
        round: u32,
        /// The block.
        block: BlockId,
    },
    /// A timeout elapsed.
    Timeout(Timer),
}

/// A block that two thirds precommitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) height: u64,
    pub(super) round: u32,
    pub(super) block: BlockId,
    pub(super) precommits: Vec<(PublicKey, Signature)>,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Put on stable storage before anything is sent.
    Log(Event),
    /// Send to everybody.
    Publish(Message),
    /// Propose a block.
    GetValue {
        /// The round.
        round: u32,
    },
    /// Send a block once more.
    Restream {
        /// The block.
        block: BlockId,
    },
    /// Set a timer.
    Schedule(Timer),
    /// Forget a timer.
    Cancel(Timer),
    /// Forget all timers.
    CancelAll,
    /// A round begins.
    StartRound {
        /// The round.
        round: u32,
        /// Whose turn it is.
        proposer: PublicKey,
    },
    /// A block is decided.
    Decide(Decision),
    /// Validators signed twice.
    Evidence(Vec<Evidence>),
}
