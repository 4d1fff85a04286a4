//! Showing the ledger that a key is wrong.

use chronolith_chain::encoding::Bytes;
use chronolith_chain::ledger::{ChunkTree, Dispute, DisputePeriod, HiddenScope, Subject};
use chronolith_chain::list::ListProof;
use chronolith_engine::chunk::ChunkHeader;

use super::check::rotation;
use super::{Keys, Received};
use crate::market::note::Note;
use crate::market::purse::Requested;
use crate::market::subscription::Period;
use crate::market::{MarketError, Venue};
use crate::node::submit::Done;
use crate::wallet::AccountKey;

/// The dispute of the first chunk whose key is wrong; none where the ledger can judge none of what was
/// refused.
#[must_use]
pub fn of(requested: &Requested, keys: &Keys, note: &Note, received: &Received) -> Option<Dispute> {
    received.refused.iter().filter(|refused| refused.is_disputable()).find_map(|refused| {
        let (told, header) = (note.chunks.get(refused.at)?, refused.header.as_ref()?);
        let parsed = ChunkHeader::from_bytes(header).ok()?;
        let tree = chunk_tree(keys, requested.scope.as_ref(), &parsed)?;
        Some(Dispute {
            request: requested.request,
            secret: *requested.secret.bytes(),
            wrapped: Bytes::new(keys.sealed.clone()).ok()?,
            header: Bytes::new(header.clone()).ok()?,
            anchor: (told.path.producer, told.path.root),
            index: told.path.index,
            path: ListProof { path: told.path.path.clone() },
            tree,
        })
    })
}

fn chunk_tree(
    keys: &Keys,
    hidden: Option<&HiddenScope>,
    header: &ChunkHeader,
) -> Option<ChunkTree> {
    match (&keys.open.offer.scope.subject, hidden) {
        (Subject::Metrics { device, tree, .. }, _) => {
            let found = header.encryption?.tree;
            Some(ChunkTree::Named { rotation: rotation(*device, *tree, header, &found)? })
        }
        (Subject::Hidden(_), Some(scope)) => Some(ChunkTree::Hidden(scope.clone())),
        (Subject::Hidden(_), None) => None,
    }
}

/// Hands a dispute in.
///
/// # Errors
/// Where the ledger refuses: the keys hold, the time to check is over, the chunk is not of the right.
pub fn hand_in(
    venue: &mut Venue,
    buyer: &AccountKey,
    dispute: Dispute,
) -> Result<Done, MarketError> {
    Ok(venue.commit("dispute a grant", &buyer.signer(), dispute)?)
}

/// Hands a dispute in of a period of a subscription: the subscription ends with it.
///
/// # Errors
/// Where the ledger refuses, as of [`hand_in`].
pub fn hand_in_period(
    venue: &mut Venue,
    subscriber: &AccountKey,
    dispute: Dispute,
    period: Period,
) -> Result<Done, MarketError> {
    let Dispute { secret, wrapped, header, anchor, index, path, tree, .. } = dispute;
    let rotation = match tree {
        ChunkTree::Named { rotation } => rotation,
        // No subscription is of hidden data.
        ChunkTree::Hidden(_) => 0,
    };
    let (subscription, period) = (period.subscription, period.number);
    let action = DisputePeriod {
        subscription,
        period,
        secret,
        wrapped,
        header,
        anchor,
        index,
        path,
        rotation,
    };
    Ok(venue.commit("dispute a period", &subscriber.signer(), action)?)
}
