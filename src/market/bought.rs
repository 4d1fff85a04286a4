//! What keys are given for: a request, or a period of a subscription. For everything behind the ledger they are
//! the same: a right with an offer, a range, and a key that is sealed to.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{OpenOffer, Right, RightStatus};

use super::purse::{Purse, PurseError, Requested};
use super::queue::{right, status};
use super::subscription::{Period, period_right};
use super::{MarketError, Venue};

/// What keys are given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Bought {
    /// A request.
    Request(RequestId),
    /// A period of a subscription.
    Period(Period),
}

impl Bought {
    /// The id of the request, or what stands for it.
    #[must_use]
    pub fn request(self) -> RequestId {
        match self {
            Self::Request(request) => request,
            Self::Period(period) => period.request(),
        }
    }

    /// What it is called, and what tells it from others of its kind: of a period, its number and its subscription.
    #[must_use]
    pub fn name(self) -> (&'static str, String) {
        match self {
            Self::Request(request) => ("request", request.to_string()),
            Self::Period(Period { subscription, number }) => {
                ("period", format!("{number} of the subscription {subscription}"))
            }
        }
    }

    /// That it is not in the state in which something can be done; `what` says in which one it can.
    #[must_use]
    pub fn wrong_status(self, right: &Right, what: &'static str) -> MarketError {
        let (of, id) = self.name();
        match (self, right.status) {
            // What is not drawn is nothing that the ledger has.
            (Self::Period(_), RightStatus::Open) => {
                MarketError::Missing { what: "keys of the period", id }
            }
            _ => MarketError::Status { of, id, status: status(right), what },
        }
    }

    /// What the ledger has of it: the right, the offer that it is of, and the height of the state.
    ///
    /// # Errors
    /// Where there is no such thing.
    pub fn right(self, venue: &Venue) -> Result<(Right, OpenOffer, u64), MarketError> {
        match self {
            Self::Request(request) => right(venue, request),
            Self::Period(period) => period_right(venue, period),
        }
    }

    /// What opens it, where it was asked for by this wallet.
    ///
    /// # Errors
    /// Where it was not, or the file cannot be read.
    pub fn secret(self, purse: &Purse) -> Result<Requested, PurseError> {
        match self {
            Self::Request(request) => purse.request(request),
            Self::Period(period) => {
                let kept = purse.subscription(period.subscription)?;
                Ok(Requested { request: period.request(), ..kept })
            }
        }
    }

    /// The same; none where this wallet did not ask for it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn known(self, purse: &Purse) -> Result<Option<Requested>, PurseError> {
        match self {
            Self::Request(request) => purse.known(request),
            Self::Period(period) => {
                let kept = purse.known_subscription(period.subscription)?;
                Ok(kept.map(|kept| Requested { request: period.request(), ..kept }))
            }
        }
    }
}

impl fmt::Display for Bought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, id) = self.name();
        write!(f, "the {what} {id}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chronolith_chain::address::Address;
    use chronolith_chain::coin::{Amount, Coin};
    use chronolith_chain::hash::{Hash, OfferId, SubscriptionId};

    use super::*;

    /// A right of the buyer 3.
    pub(crate) fn right_with(status: RightStatus) -> Right {
        Right {
            offer: OfferId([1; 32]),
            owner: Address([2; 32]),
            buyer: Address([3; 32]),
            from_ms: 0,
            until_ms: 1,
            key: [4; 32],
            coin: Coin::Native,
            price: Amount(1),
            escrow: Amount(1),
            deadline: 9,
            status,
        }
    }

    /// A period was told of by an id that stands for it, which nobody who bought it has seen.
    #[test]
    fn a_period_is_told_of_by_its_subscription_and_number() {
        let period = Period { subscription: SubscriptionId([7; 32]), number: 3 };
        let (request, period) = (Bought::Request(RequestId([6; 32])), Bought::Period(period));
        assert_eq!(request.to_string(), format!("the request {}", "06".repeat(32)));
        let shown = format!("the period 3 of the subscription {}", "07".repeat(32));
        assert_eq!(period.to_string(), shown);
        let told = |bought: Bought, status| {
            bought.wrong_status(&right_with(status), "only a granted one has keys")
        };
        let settled = RightStatus::Settled { wrapped: Hash([5; 32]) };
        assert!(told(period, settled).to_string().starts_with(&shown));
        assert!(matches!(told(request, RightStatus::Open), MarketError::Status { .. }));
        assert!(matches!(told(period, RightStatus::Open), MarketError::Missing { .. }));
    }
}
