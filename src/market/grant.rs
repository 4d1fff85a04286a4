//! Keys for a request: the few nodes of each metric's tree that cover the range, sealed to its buyer.

use chronolith_chain::block::Block;
use chronolith_chain::encoding::{Bytes, TooLong};
use chronolith_chain::hash::{ChainId, Domain, Hash, RequestId};
use chronolith_chain::ledger::{
    Action, Decline, Delivery, Grant as GrantAction, HiddenScope, OpenOffer, Right, RightStatus,
};
use chronolith_engine::{ChunkKeys, Db, KeyRandom};
use chronolith_keys::{Grant, GrantContext};

use super::scope::{Metrics, windows};
use super::{MarketError, Venue, offer};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

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
        let (id, status) = (request.to_string(), super::queue::status(right));
        return Err(MarketError::Status { id, status, what });
    }
    let keys = keys_for(stock, right, open, hidden)?;
    let sealed = keys.seal(&right.key, &context(venue.id()?, request), &mut KeyRandom::new()?)?;
    let found = sealed.len();
    // A grant that can be made fits.
    let too_long = |_: TooLong| chronolith_keys::GrantError::TooLong { found };
    let wrapped = Bytes::new(sealed).map_err(too_long)?;
    Ok(venue.commit("grant a request", &owner.signer(), GrantAction { request, wrapped })?)
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

/// Refuses what cannot be answered by an owner.
pub(super) fn ensure_waits(
    owner: &AccountKey,
    request: RequestId,
    right: &Right,
) -> Result<(), MarketError> {
    let id = request.to_string();
    if right.owner != owner.address {
        return Err(MarketError::Other { what: "request", id });
    }
    match right.status {
        RightStatus::Open | RightStatus::Cancelling { .. } => Ok(()),
        _ => {
            let what = "only an open one can be granted or declined";
            Err(MarketError::Status { id, status: super::queue::status(right), what })
        }
    }
}

/// What the messages of a request are bound to.
#[must_use]
pub const fn context(chain: ChainId, request: RequestId) -> GrantContext {
    GrantContext { chain: chain.0, request: request.0 }
}
