//! Devices: what produces data, and who owns what it produced when.

mod register_device;
mod retire_device;
mod transfer_device;

pub use register_device::RegisterDevice;
pub use retire_device::RetireDevice;
pub use transfer_device::TransferDevice;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_merkle::Tree;

use super::tables::tables;
use crate::address::Address;
use crate::hash::Hash;

tables! {
    /// A device, by its own key.
    0x28 DeviceKey { device: Address } => Device;
    /// Whose a device's data is, by the number of its key tree.
    0x29 EraKey { device: Address, tree: u32 } => Era;
}

/// A device.
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
pub struct Device {
    /// Who owns it now.
    pub owner: Address,
    /// Who anchors for it besides its owner and itself: a gateway, a back end.
    pub producer: Address,
    /// The root of its catalogue: of all its chunks so far.
    pub catalogue: Hash,
    /// The number of its key tree, which counts its owners.
    pub tree: u32,
    /// How many batches with chunks of it were anchored.
    pub batches: u64,
    /// Whether it produces no more.
    pub is_retired: bool,
}

impl Device {
    /// Whether an account may anchor for it, whose key this is: its owner, its producer, and the device itself.
    #[must_use]
    pub fn may_anchor(&self, device: Address, account: Address) -> bool {
        [self.owner, self.producer, device].contains(&account)
    }
}

/// The time in which a device was one owner's.
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
pub struct Era {
    /// The owner, who may sell what it produced then, for ever.
    pub owner: Address,
    /// Who anchored for it then, besides its owner and itself.
    pub producer: Address,
    /// Its beginning, in milliseconds since the epoch; the first one's is 0.
    pub from_ms: u64,
    /// Its end, if it has one.
    pub until_ms: Option<u64>,
}

impl Era {
    /// Whether an account could anchor for the device at a time, in milliseconds since the epoch,
    /// that was in this era: its owner, its producer, and the device itself.
    #[must_use]
    pub fn could_anchor(&self, device: Address, account: Address, time_ms: u64) -> bool {
        let is_then = time_ms >= self.from_ms && self.until_ms.is_none_or(|end| time_ms < end);
        is_then && [self.owner, self.producer, device].contains(&account)
    }
}

/// The root of a catalogue without chunks: that of RFC 6962 of no leaves.
#[must_use]
pub fn empty_catalogue() -> Hash {
    Hash(Tree::from_leaf_hashes(&[]).root())
}
