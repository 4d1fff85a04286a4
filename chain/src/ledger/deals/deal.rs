//! Deals: what several parties agreed to do one after the other, with coin set aside for it.
//!
//! | a deal is | until | then |
//! |---|---|---|
//! | joining | all parties joined, or `join_until` is over | at step 0, or void: all is given back |
//! | at a step | a party says that it is done, one objects, or the step's blocks are over | where the step says |
//! | disputed | the arbiter awards, or his blocks are over | closed as he says, or by the step's outcome |
//! | closed | | everything is paid out |
//!
//! A step leads to a later one only, so a deal ends after the sum of its blocks at the latest, whoever is
//! away; deadlines need nobody who asks. The ledger knows numbers of steps; what they mean is in the
//! contract, by its content id.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::address::Address;
use crate::coin::{Amount, BasisPoints, Coin};
use crate::content::ContentId;
use crate::encoding::List;
use crate::hash::DealId;
use crate::ledger::call::Halt;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::tables::tables;

/// The most parties of a deal.
pub const PARTIES_MOST: usize = 8;
/// The most steps of a deal.
pub const STEPS_MOST: usize = 32;
/// The most outcomes of a deal.
pub const OUTCOMES_MOST: usize = 16;
/// The most shares of an outcome: each party's part of what each party set aside.
pub const SHARES_MOST: usize = PARTIES_MOST * PARTIES_MOST;

tables! {
    /// A deal.
    0x53 DealKey { deal: DealId } => Deal;
    /// What ended a step of a deal.
    0x54 DealStepKey { deal: DealId, step: u8 } => Advanced;
    /// What the arbiter of a deal decided, and why.
    0x55 DealVerdictKey { deal: DealId } => Decided;
}

/// A deal.
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
pub struct Deal {
    /// What was agreed.
    pub plan: Plan,
    /// What of each party's part is set aside.
    pub escrows: List<Amount, PARTIES_MOST>,
    /// Who joined.
    pub joined: Parties,
    /// Where it is.
    pub status: DealStatus,
}

/// What the parties of a deal agree to.
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
pub struct Plan {
    /// The content id of the contract.
    pub contract: ContentId,
    /// The parties, numbered from 0.
    pub parties: List<Party, PARTIES_MOST>,
    /// Who decides where a step is disputed.
    pub arbiter: Option<Address>,
    /// The last height at which parties can join.
    pub join_until: u64,
    /// The steps, numbered from 0.
    pub steps: List<Step, STEPS_MOST>,
    /// The outcomes, numbered from 0.
    pub outcomes: List<Outcome, OUTCOMES_MOST>,
}

/// A party of a deal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The account; each is a party once.
    pub account: Address,
    /// The coin of what it sets aside.
    pub coin: Coin,
    /// How much it sets aside; an arbiter or a witness, say, nothing.
    pub amount: Amount,
}

/// A set of parties: bit `n` is party `n`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Parties(
    /// The bits.
    pub u8,
);

impl Parties {
    /// Whether a party is one of them.
    #[must_use]
    pub fn has(self, party: usize) -> bool {
        u32::try_from(party)
            .ok()
            .and_then(|bit| self.0.checked_shr(bit))
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, party: usize) -> Self {
        let bit = u32::try_from(party).ok().and_then(|bit| 1_u8.checked_shl(bit));
        Self(self.0 | bit.unwrap_or_default())
    }

    /// The first parties of a deal.
    #[must_use]
    pub fn first(count: usize) -> Self {
        (0..count).fold(Self::default(), Self::with)
    }

    /// Whether all of them are among others.
    #[must_use]
    pub const fn is_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// A step of a deal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who can say that it is done; the first one does.
    pub done_by: Parties,
    /// Who can object instead.
    pub objected_by: Parties,
    /// How many blocks it may take.
    pub blocks: u32,
    /// Where it leads when it is done.
    pub on_done: Next,
    /// Where it leads when nobody said anything in time.
    pub on_timeout: Next,
    /// Where it leads when somebody objects.
    pub on_objection: Next,
}

/// Where a step leads.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum Next {
    /// To a later step.
    Step(u8),
    /// To the end, with an outcome.
    Outcome(u8),
    /// To the arbiter.
    Arbiter {
        /// How many blocks he has.
        blocks: u32,
        /// The outcome if he says nothing.
        otherwise: u8,
    },
}

/// Who gets what: for each party that set something aside, shares that are the whole together. Each is
/// rounded down; what that leaves goes to the share that comes first for the same party's part.
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
pub struct Outcome {
    /// The shares.
    pub shares: List<Share, SHARES_MOST>,
}

/// A share of what a party set aside.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Whose part it is of.
    pub of: u8,
    /// Which party gets it.
    pub to: u8,
    /// How much of it.
    pub share: BasisPoints,
}

/// Where a deal is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum DealStatus {
    /// Parties are to join.
    Joining,
    /// A step is to be done.
    AtStep {
        /// Which one.
        step: u8,
        /// The last height at which somebody can say something.
        until: u64,
    },
    /// The arbiter is to decide.
    Disputed {
        /// Over which step.
        step: u8,
        /// The last height at which he can.
        until: u64,
        /// The outcome if he does not.
        otherwise: u8,
    },
    /// It ended with an outcome.
    Closed {
        /// Which one.
        outcome: u8,
    },
    /// It ended as the arbiter decided.
    Arbitrated,
    /// Not all joined; everything went back.
    Void,
}

/// What ended a step of a deal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Advanced {
    /// The height.
    pub height: u64,
    /// Who said something; none where the time was over.
    pub by: Option<Address>,
    /// What he said.
    pub verdict: Verdict,
    /// The content id of what shows it.
    pub evidence: Option<ContentId>,
}

/// What an arbiter decided.
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
pub struct Decided {
    /// The height.
    pub height: u64,
    /// Who gets what.
    pub shares: List<Share, SHARES_MOST>,
    /// The content id of his reasons.
    pub reasons: Option<ContentId>,
}

/// What is said of a step.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum Verdict {
    /// It is done.
    Done,
    /// Somebody objects.
    Objected,
    /// Nobody said anything in time.
    TimedOut,
}

impl Deal {
    /// The number of a party.
    pub(super) fn party(&self, account: Address) -> Result<usize, Halt> {
        let found = self.plan.parties.iter().position(|party| party.account == account);
        found.ok_or(Halt::Refused(Refusal::NotAllowed(Thing::Deal)))
    }
}
