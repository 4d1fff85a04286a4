//! Asking for a right, with the payment set aside.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Offer, OfferKey, RequestKey, Right, RightStatus, ensure_in_scope};
use crate::coin::{Amount, CoinError};
use crate::hash::{OfferId, RequestId};
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Asks for a right and sets its price aside; its id follows from the transaction's.
///
/// - The offer is open, and another account's.
/// - The time range is not empty, and lies in the scope. It lies in the time in which the device was
///   the owner's, also where that ended after the offer was made.
/// - The payment is the price to the mote: `fixed` and `per_hour` for each hour that is begun.
/// - The deadline is in the future, by at most `deadline_longest` blocks. When it passes without a
///   grant, the payment comes back without anybody asking.
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
pub struct Request {
    /// The offer.
    pub offer: OfferId,
    /// The beginning of what is bought, in milliseconds since the epoch.
    pub from_ms: u64,
    /// Its end.
    pub until_ms: u64,
    /// A one-time X25519 key, which the grant is sealed to.
    #[serde(with = "crate::json::hex")]
    pub key: [u8; 32],
    /// What is paid.
    pub payment: Amount,
    /// The last height at which it can be granted.
    pub deadline: u64,
}

impl Offer {
    /// What a time range costs.
    pub fn price(&self, from_ms: u64, until_ms: u64) -> Result<Amount, CoinError> {
        let hours = until_ms.saturating_sub(from_ms).div_ceil(3_600_000);
        self.fixed.plus(self.per_hour.times(hours)?)
    }
}

impl Rules for Request {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let found = ledger.find(&OfferKey { offer: self.offer }, Thing::Offer)?;
        ensure(found.is_open, Refusal::Status(Thing::Offer))?;
        ensure(found.owner != call.sender, Refusal::NotAllowed(Thing::Offer))?;
        ensure_in_scope(ledger, &found, self.from_ms, self.until_ms)?;
        let (owner, offer) = (found.owner, found.offer);
        let longest = ledger.parameters.count(ParameterName::DeadlineLongest);
        let first = ledger.height.saturating_add(1);
        ensure_within(self.deadline, first, ledger.height.saturating_add(longest))?;
        let price = offer.price(self.from_ms, self.until_ms)?;
        ensure(self.payment == price, Refusal::Price { expected: price })?;
        ledger.take(call.sender, offer.coin, price)?;
        let request = RequestId::made_by(call.transaction);
        let right = Right {
            offer: self.offer,
            owner,
            buyer: call.sender,
            from_ms: self.from_ms,
            until_ms: self.until_ms,
            key: self.key,
            coin: offer.coin,
            price,
            escrow: price,
            deadline: self.deadline,
            status: RightStatus::Open,
        };
        ledger.put(&RequestKey { request }, &right);
        ledger.schedule(self.deadline.saturating_add(1), Task::Refund(request))
    }
}
