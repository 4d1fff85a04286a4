//! Taking a right back.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{OfferKey, RequestKey, RightStatus, give_back};
use crate::hash::RequestId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Takes a granted right back, for a refund. The keys that were given cannot be taken back: what is
/// taken back is the right to use them, and the windows that are still to come.
///
/// - The sender is the owner.
/// - While the buyer still has time to check, all of the payment goes back.
/// - Afterwards only where the terms say so: the share of the price for the time that is still to
///   come, by the block's time and rounded down, and the terms' fee for it, at most the price; the
///   owner pays it and must have it.
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
pub struct Revoke {
    /// The request that was granted.
    pub request: RequestId,
}

impl Rules for Revoke {
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let key = RequestKey { request: self.request };
        let mut right = ledger.find(&key, Thing::Request)?;
        ensure(right.owner == call.sender, Refusal::NotAllowed(Thing::Request))?;
        match right.status {
            RightStatus::Granted { .. } => give_back(ledger, key, right, RightStatus::Revoked),
            RightStatus::Settled { .. } => {
                let offer = ledger.find(&OfferKey { offer: right.offer }, Thing::Offer)?.offer;
                ensure(offer.terms.is_revocable, Refusal::NotAllowed(Thing::Request))?;
                let whole = right.until_ms.saturating_sub(right.from_ms);
                let begun = ledger.time_ms.max(right.from_ms);
                let left = right.until_ms.saturating_sub(begun);
                let unused = right.price.share(u128::from(left), u128::from(whole))?;
                let fee = right.price.basis_points(offer.terms.revocation_fee)?;
                let refund = unused.plus(fee)?.min(right.price);
                ledger.take(call.sender, right.coin, refund)?;
                ledger.pay(right.buyer, right.coin, refund)?;
                right.status = RightStatus::Revoked;
                ledger.put(&key, &right);
                Ok(())
            }
            _ => Err(Refusal::Status(Thing::Request).into()),
        }
    }
}
