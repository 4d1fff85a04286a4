//! Drawing the peers that fragments go to.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::ledger::{BeaconKey, PackKey, Parameters, ParametersKey, Peer};
use chronolith_chain::state::Overlay;
use chronolith_fragment::Fragment;
use chronolith_net::placement::{Candidate, NotEnough, Request, place};

use super::{Placer, PlacingError, ToPlace, peers};
use crate::node::NodeState;

/// A fragment that waits for a peer.
pub(super) struct Open {
    pub(super) place: usize,
    pub(super) fragment: Fragment,
    /// What its pack pays for it and an epoch.
    pub(super) price: Amount,
}

/// Fragments by the peer that is drawn for them and the end of its lease.
pub(super) type Groups = BTreeMap<(Address, u64), Vec<Open>>;

impl Placer<'_> {
    /// The fragments without a lease, by the peer that is drawn for each and the end of its lease. Those
    /// who failed are drawn as all others, and others behind the draw take their places, so that nobody
    /// else's fragment moves.
    pub(super) fn draw(
        &self,
        packs: &[ToPlace],
        failed: &BTreeSet<Address>,
    ) -> Result<Groups, PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let peers = peers(&overlay)?;
        let candidate =
            |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, &parameters);
        let mut candidates: Vec<Candidate> = peers.iter().filter_map(candidate).collect();
        let mut groups = Groups::new();
        for (number, one) in packs.iter().enumerate() {
            let pack = one.pack.content_id();
            let Some(placed) = overlay.get(&PackKey { pack, owner: self.submitter.address() })?
            else {
                return Err(PlacingError::Other(pack));
            };
            let open: Vec<u8> =
                (0..placed.fragments).filter(|index| placed.leased >> index & 1 == 0).collect();
            if open.is_empty() {
                continue;
            }
            let epoch = placed.placed_epoch;
            let beacon = overlay.get(&BeaconKey { epoch })?;
            let beacon = beacon.ok_or(PlacingError::NoBeacon { pack, epoch })?;
            let mut request = Request::of(self.submitter.chain(), pack, &placed, beacon);
            request.regions.clone_from(&one.regions);
            let chosen = chosen(&candidates, &request, failed)
                .map_err(|source| PlacingError::NotEnough { pack, failed: failed.len(), source })?;
            let encoded = one
                .pack
                .fragments(&one.secret)
                .map_err(|error| PlacingError::Pack { pack, reason: error.to_string() })?;
            for fragment in encoded.into_fragments() {
                let peer = chosen.get(usize::from(fragment.index));
                if let Some(peer) = peer.filter(|_| open.contains(&fragment.index)) {
                    // What is drawn for one pack is no room for the next.
                    if let Some(candidate) = candidates.iter_mut().find(|one| one.peer == *peer) {
                        let left = candidate.free_bytes.saturating_sub(request.fragment_bytes);
                        candidate.free_bytes = left;
                    }
                    let group = groups.entry((*peer, placed.until_epoch)).or_default();
                    group.push(Open { place: number, fragment, price: placed.price });
                }
            }
        }
        Ok(groups)
    }
}

/// The peers of a pack's fragments, in their order: the drawn ones, and in the places of those who failed
/// the next of a longer draw.
fn chosen(
    candidates: &[Candidate],
    request: &Request,
    failed: &BTreeSet<Address>,
) -> Result<Vec<Address>, NotEnough> {
    let (mut drawn, mut spare) = (place(candidates, request)?, Vec::new());
    let missing = drawn.iter().filter(|peer| failed.contains(peer)).count();
    if missing > 0 {
        let mut longer = request.clone();
        longer.excluded.extend(&drawn);
        longer.excluded.extend(failed);
        (longer.fragments, longer.spare) = (missing, request.spare);
        spare = place(candidates, &longer)?;
    }
    let mut spare = spare.into_iter();
    for peer in drawn.iter_mut().filter(|peer| failed.contains(peer)) {
        if let Some(next) = spare.next() {
            *peer = next;
        }
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::{ChainId, Hash};
    use chronolith_chain::keys::SecretKey;

    use super::*;

    fn candidates(count: u8) -> Vec<Candidate> {
        let candidate = |number: u8| Candidate {
            peer: SecretKey::from_seed(&[number; 32]).public().into(),
            free_bytes: 1 << 20,
            price_per_gib: Amount::ZERO,
            tickets: 1,
            network: number.to_string(),
            region: number.to_string(),
        };
        (0..count).map(candidate).collect()
    }

    #[test]
    fn who_fails_is_replaced_and_nobody_else_moves() {
        let candidates = candidates(12);
        let request = Request {
            seed: Hash(ChainId([7; 32]).0),
            fragments: 6,
            spare: 2,
            fragment_bytes: 1,
            price: Amount::ZERO,
            excluded: Vec::new(),
            regions: Vec::new(),
        };
        let mut failed = BTreeSet::new();
        let first = chosen(&candidates, &request, &failed).unwrap();
        let mut before = first.clone();
        for dead in [2, 4, 2] {
            failed.insert(before[dead]);
            let now = chosen(&candidates, &request, &failed).unwrap();
            let different: BTreeSet<&Address> = now.iter().collect();
            assert_eq!(different.len(), 6, "nobody gets two fragments");
            assert!(now.iter().all(|peer| !failed.contains(peer)));
            for (index, (old, new)) in first.iter().zip(&now).enumerate() {
                assert_eq!(old == new, !failed.contains(old), "fragment {index}");
            }
            before = now;
        }
        failed.extend(candidates.iter().map(|candidate| candidate.peer));
        assert!(chosen(&candidates, &request, &failed).is_err());
    }
}
