//! What is asked for and was given: of an owner, of a buyer.

use chronolith_chain::address::Address;
use chronolith_chain::hash::{OfferId, RequestId};
use chronolith_chain::ledger::{OfferKey, OpenOffer, RequestKey, Right, RightStatus};
use chronolith_chain::state::{Overlay, StateError};

use super::offer::missing;
use super::{MarketError, Venue, VenueError};

/// Which rights are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Those that an account sold.
    Sold,
    /// Those that it bought.
    Bought,
}

/// A right of the ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub request: RequestId,
    /// What the ledger has of it.
    pub right: Right,
}

/// All rights of an account on one side, in the order of their ids; `wanted` chooses.
///
/// # Errors
/// Where the state cannot be read.
pub fn rights(
    venue: &Venue,
    account: Address,
    side: Side,
    wanted: impl Fn(&Right) -> bool,
) -> Result<Vec<Entry>, VenueError> {
    venue.look(|state, _| {
        let mut found = Vec::new();
        Overlay::new(state).each(&[], |RequestKey { request }, right: Right| {
            let party = if side == Side::Sold { right.owner } else { right.buyer };
            if party == account && wanted(&right) {
                found.push(Entry { request, right });
            }
            Ok::<_, StateError>(())
        })?;
        Ok(found)
    })
}

/// All offers of a state, in the order of their ids.
///
/// # Errors
/// Where the state cannot be read.
pub fn all_offers(state: &Overlay<'_>) -> Result<Vec<(OfferId, OpenOffer)>, StateError> {
    let mut found = Vec::new();
    state.each(&[], |OfferKey { offer }, open| {
        found.push((offer, open));
        Ok::<_, StateError>(())
    })?;
    Ok(found)
}

/// A right, the offer that it is of, and the height of the state.
///
/// # Errors
/// Where there is none of that id.
pub fn right(venue: &Venue, request: RequestId) -> Result<(Right, OpenOffer, u64), MarketError> {
    venue.look(|state, height| {
        let overlay = Overlay::new(state);
        let right = overlay.get(&RequestKey { request }).map_err(VenueError::from)?;
        let right = right.ok_or_else(|| missing("request", &request))?;
        let offer = overlay.get(&OfferKey { offer: right.offer }).map_err(VenueError::from)?;
        let offer = offer.ok_or_else(|| missing("offer", &right.offer))?;
        Ok((right, offer, height))
    })
}

/// A status in a word.
#[must_use]
pub const fn status(right: &Right) -> &'static str {
    match right.status {
        RightStatus::Open => "open",
        RightStatus::Cancelling { .. } => "cancelling",
        RightStatus::Granted { .. } => "granted",
        RightStatus::Settled { .. } => "settled",
        RightStatus::Declined => "declined",
        RightStatus::Refunded => "refunded",
        RightStatus::Revoked => "revoked",
        RightStatus::Faulty => "faulty",
    }
}
