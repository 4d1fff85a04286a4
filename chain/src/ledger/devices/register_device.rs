//! A new device.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Device, DeviceKey, Era, EraKey, empty_catalogue};
use crate::address::Address;
use crate::coin::Coin;
use crate::hash::{ChainId, Domain, Hash};
use crate::keys::{Signature, verify};
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Registers a device under its own key; the sender owns it.
///
/// - The device's key signed the sender's address for this chain, so nobody can register a device
///   that is not in his hands.
/// - No device has that key yet. A device is registered once; afterwards it changes hands.
/// - The parameter `device_deposit` is burnt.
/// - Its catalogue is empty, and its first key tree has the number 0. All that it produces until it
///   changes hands is the sender's.
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
pub struct RegisterDevice {
    /// The device: its public key.
    pub device: Address,
    /// Who anchors for it besides its owner and itself.
    pub producer: Address,
    /// The device key's signature of [`RegisterDevice::consent`].
    pub consent: Signature,
}

impl RegisterDevice {
    /// What the device's key signs.
    #[must_use]
    pub fn consent(chain: ChainId, device: Address, owner: Address) -> Hash {
        Domain::RegisterDevice.hash_of(&(chain, device, owner))
    }
}

impl Rules for RegisterDevice {
    fn weight(&self) -> u64 {
        3
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = DeviceKey { device: self.device };
        ensure(ledger.get(&key)?.is_none(), Refusal::Exists(Thing::Device))?;
        let message = Self::consent(ledger.chain, self.device, call.sender);
        let consents = verify(&self.device.key(), &message, &self.consent);
        ensure(consents, Refusal::Consent(Thing::Device))?;
        let deposit = ledger.parameters.amount(ParameterName::DeviceDeposit);
        ledger.take(call.sender, Coin::Native, deposit)?;
        ledger.burn(deposit)?;
        let device = Device {
            owner: call.sender,
            producer: self.producer,
            catalogue: empty_catalogue(),
            tree: 0,
            batches: 0,
            is_retired: false,
        };
        ledger.put(&key, &device);
        let (owner, producer) = (call.sender, self.producer);
        let era = Era { owner, producer, from_ms: 0, until_ms: None };
        ledger.put(&EraKey { device: self.device, tree: 0 }, &era);
        Ok(())
    }
}
