//! Anchors: which chunks existed when, and where packs of them are placed.

mod anchor;
mod discard;
mod place_pack;

pub use anchor::{Anchor, DeviceCatalogue};
pub use discard::Discard;
pub use place_pack::PlacePack;

use borsh::{BorshDeserialize, BorshSerialize};

use super::agenda::Task;
use super::call::{Halt, Ledger};
use super::tables::tables;
use crate::address::Address;
use crate::coin::{Amount, Coin};
use crate::content::ContentId;
use crate::encoding::{Keyed, Rising};
use crate::hash::Hash;

tables! {
    /// An anchored seal batch, by its producer and root.
    0x30 AnchorKey { producer: Address, root: [u8; 32] } => Anchored;
    /// A pack that an owner placed. Several may place the same one, each for himself.
    0x31 PackKey { pack: ContentId, owner: Address } => Pack;
}

/// A seal batch that is anchored.
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
pub struct Anchored {
    /// The height.
    pub height: u64,
    /// The block's time, in milliseconds since the epoch.
    pub time_ms: u64,
    /// How many chunks the batch has: the number of leaves, which every proof needs.
    pub chunks: u32,
}

/// A pack whose fragments are to be kept.
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
pub struct Pack {
    /// Who placed it and pays.
    pub owner: Address,
    /// How many fragments restore it.
    pub needed: u8,
    /// How many fragments there are, at most 128.
    pub fragments: u8,
    /// How many blocks of 256 bytes each fragment has.
    pub blocks: u32,
    /// The root over all fragments.
    pub fragments_root: Hash,
    /// The commitment to the secret that the fragments are masked by.
    pub mask: Hash,
    /// What a peer gets for a fragment and an epoch, in motes.
    pub price: Amount,
    /// The epoch in which it was placed; the beacon at its end draws the pack's peers.
    pub placed_epoch: u64,
    /// The first epoch in which it need not be kept any more.
    pub until_epoch: u64,
    /// Who may repair it.
    pub repairers: Rising<Repairer, 4>,
    /// What a repairer gets for each fragment.
    pub repair_fee: Amount,
    /// What is left for leases.
    pub escrow: Amount,
    /// What is left for repairs.
    pub repair_escrow: Amount,
    /// Which fragments are leased, a bit for each.
    #[serde(with = "crate::json::decimal")]
    pub leased: u128,
}

/// An account that may repair a pack.
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
pub struct Repairer(
    /// The account.
    pub Address,
);

impl Keyed for Repairer {
    type Key = Address;

    fn key(&self) -> Address {
        self.0
    }
}

/// Gives an owner back what was not used for a pack, when its time is over.
pub(super) fn expire_pack(ledger: &mut Ledger<'_>, key: PackKey) -> Result<(), Halt> {
    let PackKey { pack, owner } = key;
    let Some(found) = ledger.get(&key)? else { return Ok(()) };
    let due = ledger.epoch_end(found.until_epoch);
    if due > ledger.height {
        // It was renewed, or placed again.
        return ledger.schedule(due, Task::ExpirePack { pack, owner });
    }
    close_pack(ledger, key, &found)
}

/// Removes a pack and gives its owner back what is left.
fn close_pack(ledger: &mut Ledger<'_>, key: PackKey, pack: &Pack) -> Result<(), Halt> {
    ledger.remove(&key);
    ledger.pay(pack.owner, Coin::Native, pack.escrow.plus(pack.repair_escrow)?)
}
