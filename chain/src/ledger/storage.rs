//! Storage: peers, leases of fragments, audits and what they are worth.
//!
//! Time is counted in epochs of `epoch_blocks` blocks. In each, every peer is audited once; when
//! the time to attest is over, its leases are settled, a few hundred in a block. A lease's escrow is
//! always its price times the epochs that are not settled yet: for each, the price goes to the peer
//! (less a burn) where it passed, and back to the owner where it did not.
//!
//! Nothing is minted for storage, so an owner who is his own peer gains nothing.

mod answer;
mod assign_batch;
mod assigned;
mod attest_audits;
mod audit;
mod beacons;
mod close_storage;
mod lease;
mod open_storage;
mod reassign;
mod renew;
mod repair;
mod report_wrong_answer;
mod report_wrong_encoding;
mod settlement;
mod slots;
mod sum_tree;

pub use answer::{
    ANSWER_BYTES_MAX, Abstention, Answer, AnswerFault, Question, Sample, SampleFault,
};
pub use assign_batch::AssignBatch;
pub use assigned::{Assigned, AssignedError, Located};
pub use attest_audits::AttestAudits;
pub use audit::{AUDIT_SAMPLES, audit_seed, audited_blocks};
pub use beacons::{BEACONS_KEPT, BeaconKey};
pub use close_storage::CloseStorage;
pub use lease::{
    Fragment, Fragments, Lease, LeaseKey, LeaseStatus, LeaseTerms, NewLease, UsedConsentKey,
    fragments_hash, leases_of,
};
pub use open_storage::OpenStorage;
pub use reassign::Reassign;
pub use renew::Renew;
pub use repair::Repair;
pub use report_wrong_answer::ReportWrongAnswer;
pub use report_wrong_encoding::{ReportWrongEncoding, ShownBlock};
pub use settlement::{Settlement, SettlementKey};
pub use slots::{AssignedRoot, Assignment, SLOTS_MAX, SlotNode, SlotNodeKey};
pub use sum_tree::{AssignedFragment, Beside, Peak, SumPath, batch_root};

pub(super) use beacons::keep_beacon;
pub(super) use report_wrong_answer::lose_leases;
pub(super) use settlement::settle_some;

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger};
use super::parameters::ParameterName;
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::encoding::{Bytes, Text};
use crate::hash::Hash;

/// The bytes of one block of a fragment.
pub const BLOCK_BYTES: u64 = 256;
const _: () = assert!(BLOCK_BYTES == chronolith_fragment::BLOCK_BYTES as u64);

tables! {
    /// A storage peer.
    0x40 PeerKey { peer: Address } => Peer;
    /// The peer of a number, which bitmaps of audits use.
    0x41 PeerIndexKey { number: u32 } => Address;
    /// What a validator attested of an epoch's audits.
    0x43 AttestationKey { epoch: u64, validator: Address } => Attestation;
}

/// A storage peer.
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
pub struct Peer {
    /// Its number among all peers there ever were.
    pub number: u32,
    /// How many bytes it offers.
    pub capacity_bytes: u64,
    /// How many of them are leased.
    pub leased_bytes: u64,
    /// What it asks for a GiB and an epoch, in motes; owners and peers agree in each lease.
    pub price_per_gib: Amount,
    /// Where it is reached.
    pub address: Text<256>,
    /// Where it says it is.
    pub region: Text<16>,
    /// What it loses part of when it lies.
    pub bond: Amount,
    /// The height at which it said that it leaves.
    pub closing_since: Option<u64>,
    /// The last epoch about which it was shown to lie.
    pub lied_epoch: Option<u64>,
    /// Whether its leases are being lost for that.
    pub is_losing: bool,
    /// What its leases have paid it, all in all.
    pub earned: Amount,
    /// How many leases it has.
    pub leases: u64,
    /// All that it is assigned, and was at the end of the epoch before.
    pub assignment: Assignment,
    /// How many audits it passed, faded up to the last epoch that was counted: a part of its
    /// contribution.
    pub audits_passed: u64,
    /// How many it missed.
    pub audits_missed: u64,
    /// How many of these were the last ones.
    pub missed_in_a_row: u64,
    /// The last epoch that was counted.
    pub audited_epoch: Option<u64>,
}

/// What a validator attested of an epoch's audits.
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
pub struct Attestation {
    /// The peers that passed, a bit for each number, the lowest bit first.
    pub passed: Bytes<8192>,
    /// The root over the answers he checked.
    pub answers: Hash,
    /// His voting power.
    pub power: u64,
}

/// The epoch that a height is in, where epochs have so many blocks; see
/// [`Parameters::epoch`](super::Parameters::epoch).
#[must_use]
pub const fn epoch(height: u64, epoch_blocks: u64) -> u64 {
    match height.checked_div(epoch_blocks) {
        Some(epoch) => epoch,
        None => 0,
    }
}

/// The height at which an epoch begins, and the one before ends, where epochs have so many blocks;
/// see [`Parameters::epoch_end`](super::Parameters::epoch_end).
#[must_use]
pub const fn epoch_end(epoch: u64, epoch_blocks: u64) -> u64 {
    epoch.saturating_mul(epoch_blocks)
}

/// Gives a peer its bond back, when nothing is assigned to it and no answer to an audit can be shown to
/// be a lie any more. Leases that it lost do not hold it up, but its row stays until they are over.
pub(super) fn close_peer(ledger: &mut Ledger<'_>, address: Address) -> Result<(), Halt> {
    let key = PeerKey { peer: address };
    let Some(mut peer) = ledger.get(&key)? else { return Ok(()) };
    if peer.assignment.is_free_in(ledger.epoch()) {
        let bond = std::mem::take(&mut peer.bond);
        ledger.pay(address, Coin::Native, bond)?;
        ledger.put(&key, &peer);
    }
    if !peer.bond.is_zero() || peer.leases > 0 {
        let next = ledger.epoch().saturating_add(1);
        return ledger.schedule(ledger.epoch_end(next), Task::ClosePeer(address));
    }
    ledger.remove(&key);
    ledger.remove(&PeerIndexKey { number: peer.number });
    Ok(())
}

/// The first height at which an epoch's audits cannot be attested any more.
fn attested_until(ledger: &Ledger<'_>, of: u64) -> u64 {
    let blocks = ledger.parameters.count(ParameterName::AuditBlocks);
    ledger.epoch_end(of.saturating_add(1)).saturating_add(blocks)
}
