//! A device that changes hands: the new owner's word that he takes it, and his database, which seals and anchors as
//! that device from then on.

use std::path::Path;

use chronolith_chain::address::Address;
use chronolith_chain::hash::ChainId;
use chronolith_chain::keys::Signature;
use chronolith_chain::ledger::{DeviceKey, TransferDevice};
use chronolith_chain::state::{Overlay, StateError, View};
use chronolith_engine::{Db, Selector};
use serde::{Deserialize, Serialize};

use super::IdentityError;
use crate::keys::{DeviceEntry, KeysFile};
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

/// Notes in the keys of a database that one of its devices is one that the account took over: its chunks are
/// sealed under the key tree that the ledger has for the new owner, and anchored for that device. Open databases
/// see it when they are opened again.
///
/// # Errors
/// Where the account of the keys does not own the device, it has another name there, or chunks of the name were
/// sealed already.
pub fn take(
    state: &dyn View,
    (database, db): (&Path, &Db),
    mut keys: KeysFile,
    (device, name): (Address, &str),
) -> Result<DeviceEntry, IdentityError> {
    let account = keys.account(database)?.address;
    let known = Overlay::new(state).get(&DeviceKey { device })?;
    let not_owned = |reason| IdentityError::NotOwned { device, account, reason };
    let known = known.ok_or_else(|| not_owned("there is no such device".to_owned()))?;
    if known.owner != account {
        return Err(not_owned(format!("its owner is {}", known.owner)));
    }
    if known.is_retired {
        return Err(not_owned("it was retired".to_owned()));
    }
    if let Some(other) = other_name(db, &keys, device, name) {
        return Err(IdentityError::Named { device, name: other });
    }
    let entry = DeviceEntry { account: device, tree: known.tree };
    let here = db.keys().map(|keys| keys.account(name));
    if here.is_none_or(|here| (Address(here.key), here.era) != (entry.account, entry.tree)) {
        for metric in db.select(&Selector::all().device(name))? {
            if !db.chunks(metric, ..)?.is_empty() {
                return Err(IdentityError::Sealed { name: name.to_owned() });
            }
        }
        keys.devices.insert(name.to_owned(), entry);
        keys.write(database)?;
    }
    Ok(entry)
}

/// Another name that stands for a device: its catalogue would be that of one of them.
fn other_name(db: &Db, keys: &KeysFile, device: Address, name: &str) -> Option<String> {
    let named = keys.devices.iter().filter(|(_, entry)| entry.account == device);
    let named = named.map(|(other, _)| other.clone());
    let there = db.label_values("device").into_iter().map(|(other, _)| other);
    let there =
        there.filter(|other| db.keys().is_some_and(|keys| keys.account(other).key == device.0));
    named.chain(there).find(|other| other != name)
}
