//! What has to be done at a height without anybody asking for it.

use borsh::{BorshDeserialize, BorshSerialize};

use super::anchors::PackKey;
use super::call::{Halt, Ledger};
use super::storage::UsedConsentKey;
use super::tables::tables;
use crate::address::Address;
use crate::content::ContentId;
use crate::hash::{BountyId, DealId, Hash, LeaseId, RequestId, SubscriptionId};

/// How many tasks are done at the end of one block; the rest is done after the next.
const TASKS_PER_BLOCK: usize = 1_000;

tables! {
    /// A task, by the height it is due at.
    0x08 AgendaKey { height: u64, number: u64 } => Task;
    /// Counters of things that are numbered.
    0x09 CountersKey {} => Counters;
}

/// Something that is done at a height.
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
pub enum Task {
    /// Pay out what an owner unbonded from a validator.
    Release {
        /// The validator.
        validator: Address,
        /// When it is due, which is part of the entry's key.
        height: u64,
        /// Whose it is.
        owner: Address,
    },
    /// Count the votes for a proposal.
    Tally(u64),
    /// Begin with a new version of the protocol.
    Upgrade(u16),
    /// Give a buyer back what was not granted in time.
    Refund(RequestId),
    /// Pay an owner whose grant nobody disputed.
    Settle(RequestId),
    /// Give an owner back what was not used for a pack.
    ExpirePack {
        /// The pack.
        pack: ContentId,
        /// Who placed it.
        owner: Address,
    },
    /// Give a peer its bond back.
    ClosePeer(Address),
    /// Lose leases of a peer that lied.
    LoseLeases {
        /// The peer.
        peer: Address,
        /// The lease that comes next, or the first one after that.
        from: LeaseId,
    },
    /// Forget a consent to a lease, which counts no more.
    ForgetConsent {
        /// The peer that consented.
        peer: Address,
        /// The hash that it signed.
        consent: Hash,
    },
    /// End a bounty.
    EndBounty(BountyId),
    /// Void a deal that not all joined.
    EndJoining(DealId),
    /// Go on where nobody said anything of a step of a deal.
    EndStep {
        /// The deal.
        deal: DealId,
        /// The step.
        step: u8,
    },
    /// End a dispute that the arbiter did not decide.
    EndArbitration(DealId),
    /// End a subscription of which no more was drawn.
    EndSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// How many periods were drawn when this was planned.
        drawn: u32,
    },
    /// Pay an owner for a period that nobody disputed.
    SettlePeriod {
        /// The subscription.
        subscription: SubscriptionId,
        /// The number of the period.
        period: u32,
    },
}

/// How many of some things there were so far.
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
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Tasks.
    pub tasks: u64,
    /// Proposals.
    pub proposals: u64,
    /// Storage peers.
    pub peers: u32,
}

/// Does what is due.
pub(super) fn run(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    let later = AgendaKey { height: ledger.height.saturating_add(1), number: 0 };
    for (key, task) in ledger.state.scan_below(&later, TASKS_PER_BLOCK)? {
        ledger.remove(&key);
        ledger.state.mark();
        match apply(ledger, task) {
            // A task only moves what is there; should a rule refuse it all the same, then nothing
            // of it happens, and what it was about stays where it is.
            Err(Halt::Refused(refusal)) => {
                debug_assert!(false, "{task:?}: {refusal}");
                ledger.state.take_back();
            }
            done => done?,
        }
    }
    Ok(())
}

fn apply(ledger: &mut Ledger<'_>, task: Task) -> Result<(), Halt> {
    match task {
        Task::Release { validator, height, owner } => {
            super::validators::release(ledger, validator, height, owner)
        }
        Task::Tally(proposal) => super::governance::tally(ledger, proposal),
        Task::Upgrade(version) => super::governance::upgrade(ledger, version),
        Task::Refund(request) => super::rights::refund(ledger, request),
        Task::Settle(request) => super::rights::settle(ledger, request),
        Task::ExpirePack { pack, owner } => {
            super::anchors::expire_pack(ledger, PackKey { pack, owner })
        }
        Task::ClosePeer(peer) => super::storage::close_peer(ledger, peer),
        Task::LoseLeases { peer, from } => super::storage::lose_leases(ledger, peer, from),
        Task::ForgetConsent { peer, consent: Hash(consent) } => {
            ledger.remove(&UsedConsentKey { peer, consent });
            Ok(())
        }
        Task::EndBounty(bounty) => super::deals::end_bounty(ledger, bounty),
        Task::EndJoining(deal) => super::deals::end_joining(ledger, deal),
        Task::EndStep { deal, step } => super::deals::end_step(ledger, deal, step),
        Task::EndArbitration(deal) => super::deals::end_arbitration(ledger, deal),
        Task::EndSubscription { subscription, drawn } => {
            super::deals::end_subscription(ledger, subscription, drawn)
        }
        Task::SettlePeriod { subscription, period } => {
            super::deals::settle_period(ledger, subscription, period)
        }
    }
}
