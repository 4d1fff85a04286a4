//! All that a peer is assigned, under one root: a sum tree over numbered slots, a lease in each.
//!
//! - A lease keeps its slot until it is lost or over; then the slot is empty, and the lowest empty one
//!   is taken next. There are as many slots as a power of two, and the last taken one is in the upper
//!   half: the root follows from what is in which slot, and not from how it came to be.
//! - The tree's nodes are rows of the state, but those without a lease below; a change touches one on
//!   each level.
//! - An epoch's audit is about what was assigned at its end, and is asked, answered and disputed in the
//!   next: the root of then is kept beside the present one.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::Peer;
use super::sum_tree::Peak;
use crate::address::Address;
use crate::coin::CoinError;
use crate::hash::Hash;
use crate::ledger::call::{Halt, Ledger, ensure};
use crate::ledger::refusal::Refusal;
use crate::ledger::tables::tables;

/// The most slots of a peer.
pub const SLOTS_MAX: u32 = 1 << 24;

tables! {
    /// A node of the tree over a peer's slots, by its height above them and its place from the left.
    0x46 SlotNodeKey { peer: Address, height: u8, index: u32 } => SlotNode;
}

/// A node of the tree over a peer's slots.
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
pub struct SlotNode {
    /// The hash.
    pub hash: Hash,
    /// The blocks below it.
    pub blocks: u64,
    /// The leases below it.
    pub leases: u32,
}

/// The root over the slots of a peer.
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
pub struct AssignedRoot {
    /// The hash; zeros where nothing is assigned.
    pub hash: Hash,
    /// The blocks of all leases.
    pub blocks: u64,
    /// How many slots there are: a power of two, or none where nothing is assigned.
    pub slots: u32,
}

/// What a peer is assigned, and was at the end of the epoch before.
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
pub struct Assignment {
    /// As it is.
    pub now: AssignedRoot,
    /// As it was at the end of the epoch before `changed_epoch`.
    pub before: AssignedRoot,
    /// The epoch in which it changed last.
    pub changed_epoch: u64,
}

impl AssignedRoot {
    /// The root of leases in slots, made at once.
    ///
    /// # Errors
    /// More slots than there can be, or more blocks than 64 bits count.
    pub fn of(leases: impl IntoIterator<Item = (u32, Peak)>) -> Result<Self, CoinError> {
        let mut level: BTreeMap<u32, Peak> = leases.into_iter().collect();
        let Some((last, _)) = level.last_key_value() else { return Ok(Self::default()) };
        let slots = last.saturating_add(1).checked_next_power_of_two();
        let slots = slots.filter(|slots| *slots <= SLOTS_MAX).ok_or(CoinError::Overflow)?;
        for _ in 0..slots.trailing_zeros() {
            let mut above = BTreeMap::new();
            for index in level.keys().map(|index| index / 2) {
                let below = |side| level.get(&(2 * index + side)).unwrap_or(&Peak::EMPTY);
                above.insert(index, Peak::join(below(0), below(1))?);
            }
            level = above;
        }
        let Peak { hash, blocks } = level.get(&0).copied().unwrap_or(Peak::EMPTY);
        Ok(Self { hash, blocks, slots })
    }

    /// The root as the end of a way; none where nothing is assigned.
    #[must_use]
    pub fn peak(&self) -> Option<Peak> {
        (self.slots > 0).then_some(Peak { hash: self.hash, blocks: self.blocks })
    }

    /// How high the root is above the slots.
    fn height(&self) -> u8 {
        // 32 where there are no slots, and 24 at most otherwise.
        self.slots.checked_ilog2().unwrap_or(0) as u8
    }
}

impl Assignment {
    /// What was assigned at the end of an epoch that is over; none where that is no longer known.
    #[must_use]
    pub fn at_end_of(&self, epoch: u64) -> Option<AssignedRoot> {
        if self.changed_epoch <= epoch {
            Some(self.now)
        } else if self.changed_epoch == epoch.saturating_add(1) {
            Some(self.before)
        } else {
            None
        }
    }

    /// Whether nothing is assigned, and nothing was at the end of the epoch before this one.
    pub(super) fn is_free_in(&self, epoch: u64) -> bool {
        self.now.slots == 0 && (self.changed_epoch < epoch || self.before.slots == 0)
    }

    /// Keeps what was at the end of the last epoch, before the first change in this one.
    fn change_in(&mut self, epoch: u64) {
        if self.changed_epoch < epoch {
            self.before = self.now;
            self.changed_epoch = epoch;
        }
    }
}

impl SlotNode {
    fn peak(&self) -> Peak {
        Peak { hash: self.hash, blocks: self.blocks }
    }
}

/// Puts a lease into the lowest empty slot of a peer; which that is. The peer's row is the caller's to
/// put.
pub(super) fn fill_slot(
    ledger: &mut Ledger<'_>,
    address: Address,
    peer: &mut Peer,
    lease: Peak,
) -> Result<u32, Halt> {
    let assignment = &mut peer.assignment;
    assignment.change_in(ledger.epoch());
    let slot = lowest_empty(ledger, address, &assignment.now)?;
    ensure(slot < SLOTS_MAX, Refusal::Limit { limit: SLOTS_MAX.into() })?;
    if slot >= assignment.now.slots {
        assignment.now.slots = assignment.now.slots.saturating_mul(2).max(1);
    }
    let Peak { hash, blocks } = lease;
    let key = SlotNodeKey { peer: address, height: 0, index: slot };
    ledger.put(&key, &SlotNode { hash, blocks, leases: 1 });
    renew_above(ledger, address, &mut assignment.now, slot)?;
    Ok(slot)
}

/// Empties a slot of a peer. The peer's row is the caller's to put.
pub(super) fn empty_slot(
    ledger: &mut Ledger<'_>,
    address: Address,
    peer: &mut Peer,
    slot: u32,
) -> Result<(), Halt> {
    let assignment = &mut peer.assignment;
    assignment.change_in(ledger.epoch());
    ledger.remove(&SlotNodeKey { peer: address, height: 0, index: slot });
    renew_above(ledger, address, &mut assignment.now, slot)
}

/// The lowest empty slot; it may be the first that there is not yet.
fn lowest_empty(ledger: &Ledger<'_>, peer: Address, assigned: &AssignedRoot) -> Result<u32, Halt> {
    let node = |height, index| ledger.get(&SlotNodeKey { peer, height, index });
    let top = assigned.height();
    let taken = node(top, 0)?.map_or(0, |root| root.leases);
    if taken >= assigned.slots {
        return Ok(assigned.slots);
    }
    let mut index = 0;
    for height in (0..top).rev() {
        index *= 2;
        let taken = node(height, index)?.map_or(0, |left| left.leases);
        if taken >> height > 0 {
            // The left half is full.
            index += 1;
        }
    }
    Ok(index)
}

/// Renews what lies above a slot that changed; then there are half as many slots for as long as none
/// of the upper half is taken.
fn renew_above(
    ledger: &mut Ledger<'_>,
    peer: Address,
    assigned: &mut AssignedRoot,
    slot: u32,
) -> Result<(), Halt> {
    let key = |height, index| SlotNodeKey { peer, height, index };
    let mut height = assigned.height();
    for below in 0..height {
        let index = slot >> below & !1;
        let [left, right] = [ledger.get(&key(below, index))?, ledger.get(&key(below, index + 1))?];
        let above = key(below + 1, index / 2);
        if left.is_none() && right.is_none() {
            ledger.remove(&above);
            continue;
        }
        let peak = |node: Option<SlotNode>| node.map_or(Peak::EMPTY, |node| node.peak());
        let leases = |node: Option<SlotNode>| node.map_or(0, |node| node.leases);
        let Peak { hash, blocks } = Peak::join(&peak(left), &peak(right))?;
        let leases = leases(left).saturating_add(leases(right));
        ledger.put(&above, &SlotNode { hash, blocks, leases });
    }
    while height > 0 && ledger.get(&key(height - 1, 1))?.is_none() {
        ledger.remove(&key(height, 0));
        height -= 1;
    }
    *assigned = match ledger.get(&key(height, 0))? {
        Some(SlotNode { hash, blocks, .. }) => AssignedRoot { hash, blocks, slots: 1 << height },
        None => AssignedRoot::default(),
    };
    Ok(())
}
