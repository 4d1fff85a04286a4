//! Giving what a peer lost, or leaves behind, to another.

use std::collections::BTreeSet;

use chronolith_chain::address::Address;
use chronolith_chain::ledger::{
    BeaconKey, Fragments, Lease, LeaseKey, LeaseStatus, PackKey, Parameters, ParametersKey, Peer,
    Reassign,
};
use chronolith_chain::state::Overlay;
use chronolith_fragment::Fragment;
use chronolith_net::dispersal::{Handed, Offer, Recipient, hand_over};
use chronolith_net::placement::{Candidate, NotEnough, Request, place};
use chronolith_net::stored::StoredFragment;
use futures::executor::block_on;

use super::{CONSENT_BLOCKS, DRAWS, Placer, PlacingError, Progress, ToPlace, peers};
use crate::node::NodeState;

/// A lease that its peer lost, or whose peer leaves.
#[derive(Debug, Clone)]
pub struct LostLease {
    /// Which.
    pub key: LeaseKey,
    /// As the ledger has it.
    pub lease: Lease,
    /// Of which fragments.
    pub fragments: Fragments,
    /// Who keeps other fragments of the same packs.
    pub holders: BTreeSet<Address>,
}

impl LostLease {
    /// Whether somebody else has to keep what a lease is of, and an epoch is left for that.
    #[must_use]
    pub fn is_one(lease: &Lease, peer: Option<&Peer>, epoch: u64) -> bool {
        let is_leaving = peer.is_none_or(|peer| peer.closing_since.is_some());
        let first = epoch.saturating_add(1).max(lease.next_epoch);
        (lease.status == LeaseStatus::Lost || is_leaving) && first < lease.until_epoch
    }

    /// Its fragments, made again.
    fn handed(&self, packs: &[ToPlace]) -> Result<Vec<Handed>, PlacingError> {
        let mut handed = Vec::new();
        for one in packs {
            let (header, pack) = (one.pack.header(), one.pack.content_id());
            let encoded = one
                .pack
                .fragments(&one.secret)
                .map_err(|error| PlacingError::Pack { pack, reason: error.to_string() })?;
            let is_lost = |fragment: &Fragment| {
                self.fragments.iter().any(|lost| (lost.pack, lost.index) == (pack, fragment.index))
            };
            for fragment in encoded.into_fragments().into_iter().filter(is_lost) {
                let fragment = StoredFragment { pack, shape: header.shape, fragment };
                handed.push(Handed { header: header.clone(), fragment });
            }
        }
        Ok(handed)
    }
}

/// Where all of some packs may be kept: empty for anywhere, none where there is no such place. Who kept
/// fragments of all of them was in one.
fn common(packs: &[ToPlace]) -> Option<Vec<String>> {
    let mut bound = packs.iter().map(|one| &one.regions).filter(|regions| !regions.is_empty());
    let Some(mut common) = bound.next().cloned() else { return Some(Vec::new()) };
    for regions in bound {
        common.retain(|region| regions.contains(region));
    }
    (!common.is_empty()).then_some(common)
}

impl Placer<'_> {
    /// Gives what a peer lost, or leaves behind, to another. `packs` are those that the lease's fragments
    /// are of.
    ///
    /// # Errors
    /// Why not; the lease is as it was.
    pub fn replace(&mut self, lost: &LostLease, packs: &[ToPlace]) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let height = state.height()?;
        let Some(first) = packs.first() else { return Ok(()) };
        let pack = first.pack.content_id();
        let (chain, owner) = (self.submitter.chain(), self.submitter.address());
        let placed = overlay.get(&PackKey { pack, owner })?.ok_or(PlacingError::Other(pack))?;
        // Whoever keeps other fragments of the packs is not drawn; the rest is as for a repairer.
        let epoch = parameters.epoch(height).saturating_sub(1);
        let beacon = overlay.get(&BeaconKey { epoch })?;
        let beacon = beacon.ok_or(PlacingError::NoBeacon { pack, epoch })?;
        let mut request = Request::of(chain, pack, &placed, beacon);
        (request.fragments, request.spare) = (1, 1);
        (request.fragment_bytes, request.price) = (lost.lease.bytes, lost.lease.price);
        let nowhere = || {
            let source = NotEnough { needed: 1, found: 0, regions: first.regions.clone() };
            PlacingError::NotEnough { pack, failed: 0, source }
        };
        request.regions = common(packs).ok_or_else(nowhere)?;
        request.excluded.extend(&lost.holders);
        request.excluded.push(lost.key.peer);
        let handed = lost.handed(packs)?;
        let peers = peers(&overlay)?;
        let candidate =
            |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, &parameters);
        let candidates: Vec<Candidate> = peers.iter().filter_map(candidate).collect();
        let offer = Offer {
            chain,
            owner,
            asker: self.submitter.key(),
            price: lost.lease.price,
            until_epoch: lost.lease.until_epoch,
            valid_until: height.saturating_add(CONSENT_BLOCKS),
        };
        for failed in 0..DRAWS {
            let chosen = place(&candidates, &request);
            let chosen =
                chosen.map_err(|source| PlacingError::NotEnough { pack, failed, source })?;
            let to = chosen.first().and_then(|to| peers.iter().find(|(peer, _)| peer == to));
            let Some((to, row)) = to else { break };
            let network = self.submitter.client().network();
            let leased = async {
                let recipient = Recipient::of(*to, &row.address)?;
                hand_over(&network, &offer, &recipient, &handed).await
            };
            let reason = match block_on(leased) {
                Ok((fragments, lease)) => {
                    let LeaseKey { peer, lease: id } = lost.key;
                    let count = fragments.len();
                    let action = Reassign { peer, lease: id, fragments, to: lease };
                    let done = self.submitter.settle(vec![action.into()])?;
                    match done.into_iter().next().and_then(|done| done.receipt.refusal) {
                        None => {
                            let (from, to) = (peer, *to);
                            (self.tell)(Progress::Moved { from, to, fragments: count });
                            return Ok(());
                        }
                        Some(refusal) => format!("the ledger refuses the lease: {refusal}"),
                    }
                }
                Err(error) => error.to_string(),
            };
            request.excluded.push(*to);
            (self.tell)(Progress::Failed { peer: *to, reason });
        }
        Err(PlacingError::Unleased { left: lost.fragments.len() })
    }
}
