//! Keys for a request: the few nodes of each metric's tree that cover the range, sealed to its buyer.

use chronolith_chain::block::Block;
use chronolith_chain::encoding::{Bytes, TooLong};
use chronolith_chain::hash::{ChainId, Domain, Hash, RequestId};
use chronolith_chain::ledger::{
    Action, Decline, Delivery, Grant as GrantAction, HiddenScope, OpenOffer, Revoke, Right,
    RightStatus,
};
use chronolith_engine::{ChunkKeys, Db, KeyRandom};
use chronolith_keys::{Grant, GrantContext};

use super::bought::Bought;
use super::scope::{Metrics, windows};
use super::{MarketError, Venue, offer};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// So many blocks before its end nothing is given for a request any more, and nothing is disputed: what is handed in
/// then may find its way into none of them, and those who passed it on could have read it.
const MARGIN_BLOCKS: u64 = 3;

/// What an owner has to grant from.
#[derive(Clone, Copy)]
pub struct Stock<'a> {
    /// The database.
    pub db: &'a Db,
    /// Its keys.
    pub keys: &'a ChunkKeys,
}

/// What was sealed to a buyer, where it is in a block: the one with the hash that the ledger keeps. Others may
/// name the same request, in transactions that the ledger refused.
#[must_use]
pub fn sealed_in(block: &Block, wanted: Hash) -> Option<Bytes<16_384>> {
    block.transactions.iter().find_map(|one| {
        let wrapped = match &one.body.action {
            Action::Grant(grant) => &grant.wrapped,
            Action::AnswerRequest(answer) => &answer.wrapped,
            Action::DrawSubscription(draw) => &draw.wrapped,
            _ => return None,
        };
        (Domain::Grant.hash(wrapped) == wanted).then(|| wrapped.clone())
    })
}

/// The keys that a right is of.
///
/// # Errors
/// Where the metrics or their keys are not here, or the keys are more than the ledger takes.
pub fn keys_for(
    stock: Stock<'_>,
    right: &Right,
    open: &OpenOffer,
    hidden: Option<&HiddenScope>,
) -> Result<Grant, MarketError> {
    let subject = &open.offer.scope.subject;
    let metrics = Metrics::of_subject(stock.db, stock.keys, subject, hidden)?;
    let mut parts = Vec::new();
    for (_, definition) in &metrics.metrics {
        let windows = windows(definition, right.from_ms, right.until_ms)?;
        parts.extend(stock.keys.cover(definition, windows)?);
    }
    Ok(Grant::new(parts)?)
}

/// Grants a request of an offer of one's own.
///
/// # Errors
/// Where it is another's or not open, its keys are not here, or the ledger refuses.
pub fn grant(
    venue: &mut Venue,
    stock: Stock<'_>,
    owner: &AccountKey,
    request: RequestId,
    (right, open): (&Right, &OpenOffer),
    hidden: Option<&HiddenScope>,
) -> Result<Done, MarketError> {
    ensure_waits(owner, request, right)?;
    // A grant that the ledger refuses stands in its block all the same, for the buyer to read.
    if offer::delivery(venue, right.offer)? != Delivery::Keys {
        let what =
            "the offer sells answers, and keys would give the data away: chronolith market answer";
        return Err(Bought::Request(request).wrong_status(right, what));
    }
    let keys = keys_for(stock, right, open, hidden)?;
    let sealed = keys.seal(&right.key, &context(venue.id()?, request), &mut KeyRandom::new()?)?;
    let found = sealed.len();
    // A grant that can be made fits.
    let too_long = |_: TooLong| chronolith_keys::GrantError::TooLong { found };
    let wrapped = Bytes::new(sealed).map_err(too_long)?;
    let until = in_time(venue, owner, request)?;
    let action = GrantAction { request, wrapped };
    Ok(venue.commit_until("grant a request", &owner.signer(), action, until)?)
}

/// Declines a request; the payment goes back.
///
/// # Errors
/// Where it is another's or not open, or the ledger refuses.
pub fn decline(
    venue: &mut Venue,
    owner: &AccountKey,
    request: RequestId,
    right: &Right,
) -> Result<Done, MarketError> {
    ensure_waits(owner, request, right)?;
    Ok(venue.commit("decline a request", &owner.signer(), Decline { request })?)
}

/// Takes a granted right back, with the refund that its terms say.
///
/// # Errors
/// Where it is another's, or the ledger refuses.
pub fn revoke(
    venue: &mut Venue,
    owner: &AccountKey,
    request: RequestId,
) -> Result<Done, MarketError> {
    let (right, _, _) = super::queue::right(venue, request)?;
    if right.owner != owner.address {
        return Err(MarketError::Other { what: "request", id: request.to_string() });
    }
    Ok(venue.commit("revoke a right", &owner.signer(), Revoke { request })?)
}

/// Looks at a request anew: the last height at which what is given for it is paid.
///
/// # Errors
/// Where it cannot be answered by the owner, or not in time.
pub(super) fn in_time(
    venue: &Venue,
    owner: &AccountKey,
    request: RequestId,
) -> Result<u64, MarketError> {
    let (right, _, height) = super::queue::right(venue, request)?;
    ensure_waits(owner, request, &right)?;
    ensure_in_time(("request", &request), last_height(&right), height)
}

/// The last height at which the ledger takes what is given for a request that waits.
fn last_height(right: &Right) -> u64 {
    match right.status {
        RightStatus::Cancelling { from } => right.deadline.min(from.saturating_sub(1)),
        _ => right.deadline,
    }
}

/// Refuses what may come too late; the last height otherwise.
pub(crate) fn ensure_in_time(
    (what, id): (&'static str, &dyn std::fmt::Display),
    until: u64,
    height: u64,
) -> Result<u64, MarketError> {
    match height.saturating_add(MARGIN_BLOCKS) > until {
        true => Err(MarketError::TooLate { what, id: id.to_string(), until, height }),
        false => Ok(until),
    }
}

/// Refuses what cannot be answered by an owner.
pub(super) fn ensure_waits(
    owner: &AccountKey,
    request: RequestId,
    right: &Right,
) -> Result<(), MarketError> {
    if right.owner != owner.address {
        return Err(MarketError::Other { what: "request", id: request.to_string() });
    }
    match waits(right) {
        true => Ok(()),
        false => {
            let what = "only an open one can be granted or declined";
            Err(Bought::Request(request).wrong_status(right, what))
        }
    }
}

/// Whether a request waits for its owner.
#[must_use]
pub const fn waits(right: &Right) -> bool {
    matches!(right.status, RightStatus::Open | RightStatus::Cancelling { .. })
}

/// What the messages of a request are bound to.
#[must_use]
pub const fn context(chain: ChainId, request: RequestId) -> GrantContext {
    GrantContext { chain: chain.0, request: request.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::bought::tests::right_with;

    fn right(deadline: u64, status: RightStatus) -> Right {
        Right { deadline, ..right_with(status) }
    }

    /// A grant was made by the right's status alone. Past the deadline the ledger refuses it, gives the payment
    /// back, and the keys stand in the block for the buyer to open. So nothing is given that could come too late.
    #[test]
    fn nothing_is_given_that_may_be_refused_as_late() {
        let given = |deadline, status, height| {
            let until = last_height(&right(deadline, status));
            ensure_in_time(("request", &"r"), until, height).ok()
        };
        let open = |height| given(100, RightStatus::Open, height);
        assert_eq!((open(1), open(97)), (Some(100), Some(100)));
        assert_eq!((open(98), open(100), open(101)), (None, None, None));
        // Of one that is cancelled the payment goes back at `from`, or by the deadline where that is sooner.
        let cancelled = |from, height| given(100, RightStatus::Cancelling { from }, height);
        assert_eq!((cancelled(50, 46), cancelled(50, 47)), (Some(49), None));
        assert_eq!((cancelled(101, 97), cancelled(101, 98)), (Some(100), None));
        assert_eq!(
            (cancelled(0, 0), given(u64::MAX, RightStatus::Open, u64::MAX)),
            (None, Some(u64::MAX))
        );
    }
}
