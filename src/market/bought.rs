//! What keys are given for: a request, or a period of a subscription. For everything behind the ledger they are
//! the same: a right with an offer, a range, and a key that is sealed to.

use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{OpenOffer, Right};

use super::purse::{Purse, PurseError, Requested};
use super::queue::right;
use super::subscription::{Period, period_right};
use super::{MarketError, Venue};

/// What keys are given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// What it is called, and its id: of a period, that of its subscription.
    #[must_use]
    pub fn name(self) -> (&'static str, String) {
        match self {
            Self::Request(request) => ("request", request.to_string()),
            Self::Period(period) => ("subscription", period.subscription.to_string()),
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
