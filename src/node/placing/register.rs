//! Placing packs on the ledger: what they are, what is paid, and who may repair them.

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::encoding::Rising;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Action, BLOCK_BYTES, BeaconKey, Discard, Pack as PlacedPack, PackKey, Parameters,
    ParametersKey, Peer, PlacePack, Repairer,
};
use chronolith_chain::state::Overlay;
use chronolith_net::placement::{Candidate, Request, place};
use chronolith_net::stored::{can_be_handed, stored_bytes};

use super::{Placer, PlacingError, Progress, Terms, ToPlace, peers};
use crate::node::NodeState;

/// How many peers more than there are fragments should take a usual price.
const SPARE: usize = 2;

impl Placer<'_> {
    /// Places those packs on the ledger that are not there yet, and waits for the beacon that draws
    /// their peers.
    pub(super) fn register(
        &mut self,
        packs: &[ToPlace],
        terms: &Terms,
    ) -> Result<(), PlacingError> {
        let client = self.submitter.client();
        let state = NodeState::new(client);
        let overlay = Overlay::new(&state);
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let peers = peers(&overlay)?;
        let height = state.height()?;
        let repairers = terms.repairers.iter().map(|address| Repairer(*address)).collect();
        let repairers = Rising::new(sorted(repairers)).map_err(|_| PlacingError::Repairers)?;
        let mut actions: Vec<Action> = Vec::new();
        let mut drawn_at = 0;
        for one in packs {
            let (header, pack) = (one.pack.header(), one.pack.content_id());
            let root = Hash(header.fragments_root);
            if let Some(placed) = overlay.get(&PackKey { pack, owner: self.submitter.address() })? {
                if placed.fragments_root != root {
                    return Err(PlacingError::Other(pack));
                }
                let epoch = placed.placed_epoch;
                let has_beacon = overlay.get(&BeaconKey { epoch })?.is_some();
                if !is_too_late(&placed, has_beacon, parameters.epoch(height)) {
                    drawn_at = drawn_at.max(parameters.epoch_end(epoch + 1));
                    continue;
                }
                // What is set aside for it comes back; leases that run go on.
                actions.push(Discard { pack }.into());
            }
            let shape = header.shape;
            // Packs that were made elsewhere may be cut otherwise.
            if !can_be_handed(shape) {
                return Err(PlacingError::TooLarge { pack, bytes: stored_bytes(shape) });
            }
            let bytes = u64::from(shape.blocks()) * BLOCK_BYTES;
            let price = match terms.price {
                Some(price) => price,
                None => usual_price(&peers, &parameters, bytes, one)?,
            };
            if !one.regions.is_empty() {
                self.ensure_regions(one, &peers, &parameters, (bytes, price), terms)?;
            }
            // It may be in the block of the next epoch.
            let until_epoch =
                parameters.epoch(height).saturating_add(terms.epochs).saturating_add(2);
            actions.push(
                PlacePack {
                    pack,
                    needed: shape.needed(),
                    fragments: shape.fragments(),
                    blocks: shape.blocks(),
                    fragments_root: root,
                    mask: Hash(header.mask),
                    price,
                    until_epoch,
                    repairers: repairers.clone(),
                    repair_fee: terms.repair_fee,
                    repairs: terms.repairs,
                }
                .into(),
            );
        }
        let placed = self.submitter.commit("place a pack", actions)?;
        let placed_at = placed.last().map_or(height, |done| done.height);
        drawn_at = drawn_at.max(parameters.epoch_end(parameters.epoch(placed_at) + 1));
        (self.tell)(Progress::Placed { packs: packs.len(), drawn_at });
        self.submitter.until("the end of the epoch", || {
            Ok((client.status()?.height.saturating_add(1) >= drawn_at).then_some(()))
        })
    }

    /// Refuses a pack that too few peers of its regions would take, before anything is set aside for it.
    fn ensure_regions(
        &self,
        one: &ToPlace,
        peers: &[(Address, Peer)],
        parameters: &Parameters,
        (fragment_bytes, price): (u64, Amount),
        terms: &Terms,
    ) -> Result<(), PlacingError> {
        let (pack, shape) = (one.pack.content_id(), one.pack.header().shape);
        if !terms.repairers.is_empty() {
            return Err(PlacingError::Repaired { pack, regions: one.regions.clone() });
        }
        let candidate =
            |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, parameters);
        let candidates: Vec<Candidate> = peers.iter().filter_map(candidate).collect();
        // Whom it draws is not asked here, only whether there are enough.
        let request = Request {
            seed: Hash([0; 32]),
            fragments: shape.fragments().into(),
            spare: usize::from(shape.fragments().saturating_sub(shape.needed())),
            fragment_bytes,
            price,
            excluded: vec![self.submitter.address()],
            regions: one.regions.clone(),
        };
        let enough = place(&candidates, &request).map(drop);
        enough.map_err(|source| PlacingError::NotEnough { pack, failed: 0, source })
    }
}

/// Whether a pack was placed so long ago that peers can be drawn no more for the fragments that nobody
/// leases: its owner was away meanwhile, and places it anew.
fn is_too_late(placed: &PlacedPack, has_beacon: bool, epoch: u64) -> bool {
    let is_leased = placed.leased.count_ones() == u32::from(placed.fragments);
    !is_leased && !has_beacon && placed.placed_epoch < epoch
}

fn sorted(mut repairers: Vec<Repairer>) -> Vec<Repairer> {
    repairers.sort_by_key(|repairer| repairer.0);
    repairers
}

/// What as many peers ask as there are fragments, and two more: the cheapest of those that would take
/// one and are where the pack may be.
fn usual_price(
    peers: &[(Address, Peer)],
    parameters: &Parameters,
    bytes: u64,
    pack: &ToPlace,
) -> Result<Amount, CoinError> {
    let candidates =
        peers.iter().filter_map(|(address, peer)| Candidate::of(*address, peer, parameters));
    let open = candidates.filter(|candidate| {
        let is_inside = pack.regions.is_empty() || pack.regions.contains(&candidate.region);
        is_inside && candidate.free_bytes >= bytes
    });
    let asked = open.map(|candidate| candidate.price_per_gib.share(bytes.into(), 1 << 30));
    let mut asked: Vec<Amount> = asked.collect::<Result<_, _>>()?;
    asked.sort_unstable();
    let fragments = usize::from(pack.pack.header().shape.fragments());
    let at = (fragments + SPARE).min(asked.len()).saturating_sub(1);
    Ok(asked.get(at).copied().unwrap_or(Amount::ZERO))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::keys::SecretKey;

    use super::*;

    /// A producer that was away for weeks between placing a pack and having it leased could never have
    /// it kept: the beacon that draws its peers was gone, and nobody discarded it.
    #[test]
    fn packs_whose_peers_can_be_drawn_no_more_are_placed_anew() {
        let placed = PlacedPack {
            owner: SecretKey::from_seed(&[1; 32]).public().into(),
            needed: 4,
            fragments: 6,
            blocks: 1,
            fragments_root: Hash([0; 32]),
            mask: Hash([0; 32]),
            price: Amount::ZERO,
            placed_epoch: 7,
            until_epoch: 9_000,
            repairers: Rising::new(Vec::new()).unwrap(),
            repair_fee: Amount::ZERO,
            escrow: Amount::ZERO,
            repair_escrow: Amount::ZERO,
            leased: 0b1011,
        };
        assert!(is_too_late(&placed, false, 5_000));
        assert!(!is_too_late(&placed, true, 5_000), "they are drawn from what is kept");
        assert!(!is_too_late(&placed, false, 7), "the beacon is still to come");
        assert!(!is_too_late(&PlacedPack { leased: 0b11_1111, ..placed }, false, 5_000));
    }
}
