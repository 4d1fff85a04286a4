//! Showing the ledger that a key is wrong.

use chronolith_chain::encoding::Bytes;
use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{
    ChunkTree, Dispute, DisputePeriod, HiddenScope, Right, RightStatus, Subject,
};
use chronolith_chain::list::ListProof;
use chronolith_engine::chunk::ChunkHeader;

use super::check::rotation;
use super::{BuyerError, Keys, Received};
use crate::market::bought::Bought;
use crate::market::note::Note;
use crate::market::purse::Requested;
use crate::market::queue::status;
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

/// Why the ledger can judge none of what was received.
#[must_use]
pub fn none(requested: &Requested, received: Received) -> BuyerError {
    let (request, chunks) = (requested.request, received.chunks);
    match received.refused.into_iter().next() {
        None => BuyerError::Holds { request, chunks },
        Some(refused) => {
            BuyerError::NotJudged { request, at: refused.at, fault: Box::new(refused.fault) }
        }
    }
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

/// Hands in a dispute of what was bought: the payment comes back. With a period its subscription ends.
///
/// # Errors
/// Where the time to check is over, or the ledger refuses: the keys hold, the chunk is not of the right.
pub fn hand_in(
    venue: &mut Venue,
    buyer: &AccountKey,
    bought: Bought,
    right: &Right,
    dispute: Dispute,
) -> Result<Done, MarketError> {
    ensure_in_time(dispute.request, right)?;
    let signer = buyer.signer();
    Ok(match bought {
        Bought::Request(_) => venue.commit("dispute a grant", &signer, dispute)?,
        Bought::Period(period) => {
            venue.commit("dispute a period", &signer, of_period(dispute, period))?
        }
    })
}

/// Whoever reads the block with a dispute can open the grant, whatever comes of it: nothing is shown for nothing.
fn ensure_in_time(request: RequestId, right: &Right) -> Result<(), MarketError> {
    match right.status {
        RightStatus::Granted { .. } => Ok(()),
        _ => {
            let what = "only one that is granted, and whose owner is not paid yet, is disputed";
            let (id, status) = (request.to_string(), status(right));
            Err(MarketError::Status { id, status, what })
        }
    }
}

fn of_period(dispute: Dispute, period: Period) -> DisputePeriod {
    let Dispute { secret, wrapped, header, anchor, index, path, tree, .. } = dispute;
    let rotation = match tree {
        ChunkTree::Named { rotation } => rotation,
        // No subscription is of hidden data.
        ChunkTree::Hidden(_) => 0,
    };
    let (subscription, period) = (period.subscription, period.number);
    DisputePeriod { subscription, period, secret, wrapped, header, anchor, index, path, rotation }
}

#[cfg(test)]
mod tests {
    use chronolith_chain::address::Address;
    use chronolith_chain::coin::{Amount, Coin};
    use chronolith_chain::hash::{Hash, OfferId};

    use super::*;

    /// A dispute was handed in whatever had become of the right. One that came after the time to check was refused, and
    /// its secret stood in the block for everybody to open the grant with.
    #[test]
    fn no_secret_is_shown_once_the_time_to_check_is_over() {
        let wrapped = Hash([5; 32]);
        let shown = |status| {
            let right = Right {
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
            };
            ensure_in_time(RequestId([6; 32]), &right)
        };
        assert!(shown(RightStatus::Granted { wrapped, settles: 9 }).is_ok());
        for over in [RightStatus::Settled { wrapped }, RightStatus::Faulty, RightStatus::Revoked] {
            assert!(matches!(shown(over), Err(MarketError::Status { .. })));
        }
    }
}
