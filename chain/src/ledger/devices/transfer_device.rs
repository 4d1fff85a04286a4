//! A used car changes hands.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{DeviceKey, Era, EraKey};
use crate::address::Address;
use crate::hash::{ChainId, Domain, Hash};
use crate::keys::{Signature, verify};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Gives a device to another owner.
///
/// - The sender owns it, and it is not retired.
/// - The new owner signed that he takes it: device, both owners and the number of the key tree that
///   ends, so that a consent is good for one transfer.
/// - What the device produced up to the block's time stays the sender's: he goes on to sell it. From
///   then on its data is the new owner's, under a new key tree whose number is one higher.
/// - The catalogue goes on: it is the device's, not the owner's.
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
pub struct TransferDevice {
    /// The device.
    pub device: Address,
    /// The new owner.
    pub to: Address,
    /// Who anchors for it from now on besides its owner and itself.
    pub producer: Address,
    /// The new owner's signature of [`TransferDevice::consent`].
    pub consent: Signature,
}

impl TransferDevice {
    /// What the new owner signs; `tree` is the number of the key tree that ends.
    #[must_use]
    pub fn consent(chain: ChainId, device: Address, from: Address, to: Address, tree: u32) -> Hash {
        Domain::TransferDevice.hash_of(&(chain, device, from, to, tree))
    }
}

impl Rules for TransferDevice {
    fn weight(&self) -> u64 {
        3
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = DeviceKey { device: self.device };
        let mut device = ledger.find(&key, Thing::Device)?;
        ensure(device.owner == call.sender, Refusal::NotAllowed(Thing::Device))?;
        ensure(!device.is_retired, Refusal::Status(Thing::Device))?;
        ensure(self.to != call.sender, Refusal::NoChange)?;
        let message = Self::consent(ledger.chain, self.device, call.sender, self.to, device.tree);
        let consents = verify(&self.to.key(), &message, &self.consent);
        ensure(consents, Refusal::Consent(Thing::Device))?;
        let next =
            device.tree.checked_add(1).ok_or(Refusal::Limit { limit: u64::from(u32::MAX) })?;

        let now = ledger.time_ms;
        let past = EraKey { device: self.device, tree: device.tree };
        let era = ledger.find(&past, Thing::Device)?;
        ledger.put(&past, &Era { until_ms: Some(now), ..era });
        let (owner, producer) = (self.to, self.producer);
        let era = Era { owner, producer, from_ms: now, until_ms: None };
        ledger.put(&EraKey { device: self.device, tree: next }, &era);
        device.owner = self.to;
        device.producer = self.producer;
        device.tree = next;
        ledger.put(&key, &device);
        Ok(())
    }
}
