//! A device that changes hands: the new owner's word that he takes it.

use chronolith_chain::address::Address;
use chronolith_chain::hash::ChainId;
use chronolith_chain::keys::Signature;
use chronolith_chain::ledger::{DeviceKey, TransferDevice};
use chronolith_chain::state::{Overlay, StateError, View};
use serde::{Deserialize, Serialize};

use super::IdentityError;
use crate::wallet::AccountKey;

/// What the file says it is.
const FORMAT: &str = "chronolith device consent 1";

/// The new owner's consent, as its file has it. It is good for one transfer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    format: String,
    /// The device.
    pub device: Address,
    /// Whose it is.
    pub from: Address,
    /// Who takes it.
    pub to: Address,
    /// The number of the key tree that ends.
    pub tree: u32,
    /// The new owner's signature of [`TransferDevice::consent`].
    pub signature: Signature,
}

impl Consent {
    /// The word of an account that it takes a device; none where there is no such device.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn new(
        state: &dyn View,
        chain: ChainId,
        device: Address,
        to: &AccountKey,
    ) -> Result<Option<Self>, StateError> {
        let Some(known) = Overlay::new(state).get(&DeviceKey { device })? else { return Ok(None) };
        let (from, tree) = (known.owner, known.tree);
        let message = TransferDevice::consent(chain, device, from, to.address, tree);
        let signature = to.signer().sign(&message);
        let format = FORMAT.to_owned();
        Ok(Some(Self { format, device, from, to: to.address, tree, signature }))
    }

    /// The transfer that it allows, with who anchors for the device from then on.
    ///
    /// # Errors
    /// Where the file is none.
    pub fn transfer(&self, producer: Option<Address>) -> Result<TransferDevice, IdentityError> {
        if self.format != FORMAT {
            let reason = format!("the file has the format {:?}, not {FORMAT:?}", self.format);
            return Err(IdentityError::Certificate(reason));
        }
        Ok(TransferDevice {
            device: self.device,
            to: self.to,
            producer: producer.unwrap_or(self.to),
            consent: self.signature,
        })
    }
}
