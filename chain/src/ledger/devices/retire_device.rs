//! The end of a device.

use borsh::{BorshDeserialize, BorshSerialize};

use super::DeviceKey;
use crate::address::Address;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Retires a device: nothing is anchored for it any more, and it changes hands no more.
///
/// - The sender owns it, and it is not retired yet.
/// - What it produced stays anchored, and can still be sold by whoever it belongs to.
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
pub struct RetireDevice {
    /// The device.
    pub device: Address,
}

impl Rules for RetireDevice {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = DeviceKey { device: self.device };
        let mut device = ledger.find(&key, Thing::Device)?;
        ensure(device.owner == call.sender, Refusal::NotAllowed(Thing::Device))?;
        ensure(!device.is_retired, Refusal::NoChange)?;
        device.is_retired = true;
        ledger.put(&key, &device);
        Ok(())
    }
}
