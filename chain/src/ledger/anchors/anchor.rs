//! Anchoring a seal batch.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{AnchorKey, Anchored};
use crate::address::Address;
use crate::encoding::{Keyed, Rising};
use crate::hash::Hash;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::devices::DeviceKey;
use crate::ledger::refusal::{Refusal, Thing};

/// Anchors a seal batch: its chunks existed at this height. The sender is its producer.
///
/// - The batch has at least one chunk. Its root was not anchored by the sender before, or with the
///   same number of chunks: a batch of more devices than one anchor holds takes several. The first
///   one says since when the batch is anchored.
/// - For each device with chunks in it: the device is registered and not retired, and the sender is
///   its owner, its producer, or the device itself.
/// - The catalogue root before the batch is the one on the ledger, so that catalogues chain and no
///   chunk can be slipped in or left out later; the root after it differs, and becomes the ledger's.
/// - One to 512 devices, strictly rising.
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
pub struct Anchor {
    /// The root of the batch's Merkle tree over the content ids of its chunk headers.
    pub root: Hash,
    /// How many chunks it has.
    pub chunks: u32,
    /// What it does to the catalogues of the devices in it.
    pub devices: Rising<DeviceCatalogue, { Anchor::DEVICES_MOST }>,
}

impl Anchor {
    /// The most devices in an anchor; with them it is below the size that a transaction may have.
    pub const DEVICES_MOST: usize = 512;
}

/// What a batch does to a device's catalogue.
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
pub struct DeviceCatalogue {
    /// The device.
    pub device: Address,
    /// The catalogue's root before the batch.
    pub before: Hash,
    /// And after it.
    pub after: Hash,
}

impl Keyed for DeviceCatalogue {
    type Key = Address;

    fn key(&self) -> Address {
        self.device
    }
}

impl Rules for Anchor {
    fn weight(&self) -> u64 {
        1 + self.devices.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        ensure(self.chunks > 0 && !self.devices.is_empty(), Refusal::Zero)?;
        let key = AnchorKey { producer: call.sender, root: self.root.0 };
        let before = ledger.get(&key)?;
        let goes_on = before.is_none_or(|anchored| anchored.chunks == self.chunks);
        ensure(goes_on, Refusal::Exists(Thing::Anchor))?;
        for entry in self.devices.iter() {
            let key = DeviceKey { device: entry.device };
            let mut device = ledger.find(&key, Thing::Device)?;
            ensure(!device.is_retired, Refusal::Status(Thing::Device))?;
            let may = device.may_anchor(entry.device, call.sender);
            ensure(may, Refusal::NotAllowed(Thing::Device))?;
            let (expected, found) = (device.catalogue, entry.before);
            ensure(found == expected, Refusal::Catalogue { expected, found })?;
            ensure(entry.after != entry.before, Refusal::NoChange)?;
            device.catalogue = entry.after;
            device.batches = device.batches.saturating_add(1);
            ledger.put(&key, &device);
        }
        let (height, time_ms, chunks) = (ledger.height, ledger.time_ms, self.chunks);
        if before.is_none() {
            ledger.put(&key, &Anchored { height, time_ms, chunks });
        }
        Ok(())
    }
}
