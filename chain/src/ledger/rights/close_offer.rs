//! Taking an offer down.

use borsh::{BorshDeserialize, BorshSerialize};

use super::OfferKey;
use crate::hash::OfferId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Takes an offer down: it takes no more requests. Those that are there go on.
///
/// - The sender made it, and it is open.
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
pub struct CloseOffer {
    /// The offer.
    pub offer: OfferId,
}

impl Rules for CloseOffer {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = OfferKey { offer: self.offer };
        let mut offer = ledger.find(&key, Thing::Offer)?;
        ensure(offer.owner == call.sender, Refusal::NotAllowed(Thing::Offer))?;
        ensure(offer.is_open, Refusal::NoChange)?;
        offer.is_open = false;
        ledger.put(&key, &offer);
        Ok(())
    }
}
