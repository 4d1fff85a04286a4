//! Having packs kept: they are placed on the ledger, peers are drawn for their fragments, and each
//! peer is handed its own and leases them.
//!
//! Every step leaves its mark on the ledger, so that placing again goes on where it was broken off.

mod lost;

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Action, AssignBatch, BLOCK_BYTES, BeaconKey, Discard, Fragments, Pack as PlacedPack, PackKey,
    Parameters, ParametersKey, Peer, PeerKey, PlacePack, Repairer,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::{Fragment, MaskSecret};
use chronolith_net::dispersal::{Handed, LEASE_FRAGMENTS, Offer, Recipient, hand_over};
use chronolith_net::exchange::{Question, Reply, SentSecret, ask};
use chronolith_net::pack::Pack;
use chronolith_net::placement::{Candidate, NotEnough, Request, place};
use chronolith_net::stored::StoredFragment;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};

use super::submit::{SubmitError, Submitter};
use super::{NodeError, NodeState};
pub use lost::LostLease;

/// To how many peers fragments are handed at once.
const PEERS_AT_ONCE: usize = 8;
/// For how many blocks a consent is to count.
const CONSENT_BLOCKS: u64 = 1_000;
/// How many peers more than there are fragments should take a usual price.
const SPARE: usize = 2;
/// How often peers are drawn anew for fragments that nobody took.
const DRAWS: usize = 4;
/// The most peers that are looked at.
const PEERS_MOST: usize = 1 << 16;

/// A pack that is to be kept, with the secret of its mask.
pub struct ToPlace {
    /// The pack.
    pub pack: Pack,
    /// The secret that its fragments are masked by.
    pub secret: MaskSecret,
}

/// On which terms packs are kept.
#[derive(Debug, Clone)]
pub struct Terms {
    /// For how many epochs.
    pub epochs: u64,
    /// What is paid for a fragment and an epoch; none for what as many peers ask as there are
    /// fragments, and two more.
    pub price: Option<Amount>,
    /// Who may repair it.
    pub repairers: Vec<Address>,
    /// What a repairer gets for a fragment.
    pub repair_fee: Amount,
    /// For how many fragments a repairer is paid.
    pub repairs: u16,
}

/// Why packs are not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlacingError {
    /// A transaction has no effect.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The node does not answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Too few peers.
    #[error("pack {pack}: {source}; {failed} peers failed meanwhile")]
    NotEnough {
        /// Which pack.
        pack: ContentId,
        /// How many that were drawn did not take what they were drawn for.
        failed: usize,
        /// How many there are.
        source: NotEnough,
    },
    /// An amount is too large.
    #[error(transparent)]
    Coin(#[from] CoinError),
    /// Some fragments have no lease.
    #[error(
        "{left} fragments have no lease yet: the peers that were drawn for them failed; run it again to draw anew"
    )]
    Unleased {
        /// How many.
        left: usize,
    },
    /// The pack cannot be cut.
    #[error("pack {pack}: {reason}")]
    Pack {
        /// Which.
        pack: ContentId,
        /// Why not.
        reason: String,
    },
    /// The pack was placed with another secret, or is not what was placed.
    #[error("pack {0} is placed already, with other fragments")]
    Other(ContentId),
    /// More repairers than a pack can name, or one twice.
    #[error("a pack names up to 4 different repairers")]
    Repairers,
    /// The beacon that draws the peers is kept no more.
    #[error(
        "pack {pack} was placed in epoch {epoch}, whose beacon is kept no more; discard it and place it again"
    )]
    NoBeacon {
        /// Which.
        pack: ContentId,
        /// When.
        epoch: u64,
    },
}

/// What happened while packs were placed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The packs are placed on the ledger; their peers are drawn after the end of an epoch.
    Placed {
        /// How many.
        packs: usize,
        /// The first height at which peers are drawn.
        drawn_at: u64,
    },
    /// A peer consents to lease fragments; the lease is not on the ledger yet.
    Consented {
        /// Who.
        peer: Address,
        /// Which.
        fragments: Fragments,
    },
    /// A peer leased fragments.
    Leased {
        /// Who.
        peer: Address,
        /// How many.
        fragments: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// A peer did not take what it was drawn for; others are drawn.
    Failed {
        /// Who.
        peer: Address,
        /// Why.
        reason: String,
    },
    /// What a peer lost, or leaves behind, is kept by another.
    Moved {
        /// Who had it.
        from: Address,
        /// Who has it.
        to: Address,
        /// How many fragments.
        fragments: usize,
    },
    /// A repairer has a pack's secret, or why it has not.
    Entrusted {
        /// Who.
        repairer: Address,
        /// Of which pack.
        pack: ContentId,
        /// What went wrong.
        error: Option<String>,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Placed { packs, drawn_at } => {
                write!(f, "{packs} packs are placed; peers are drawn after height {drawn_at}")
            }
            Self::Consented { peer, fragments } => {
                write!(f, "{peer} consents to lease {} fragments", fragments.len())
            }
            Self::Moved { from, to, fragments } => {
                write!(f, "{to} leased {fragments} fragments in the place of {from}")
            }
            Self::Leased { peer, fragments, bytes } => {
                write!(f, "{peer} leased {fragments} fragments of {bytes} bytes")
            }
            Self::Failed { peer, reason } => write!(f, "{peer} takes nothing: {reason}"),
            Self::Entrusted { repairer, pack, error: None } => {
                write!(f, "{repairer} may repair {pack}")
            }
            Self::Entrusted { repairer, pack, error: Some(error) } => {
                write!(f, "{repairer} cannot repair {pack}: {error}")
            }
        }
    }
}

/// Places packs through a node.
pub struct Placer<'a> {
    submitter: Submitter<'a>,
    tell: &'a mut dyn FnMut(Progress),
}

/// A fragment that waits for a peer.
struct Open {
    place: usize,
    fragment: Fragment,
    /// What its pack pays for it and an epoch.
    price: Amount,
}

impl<'a> Placer<'a> {
    /// Places packs of the account that a submitter hands in for.
    pub fn new(submitter: Submitter<'a>, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self { submitter, tell }
    }

    /// Places packs and has all their fragments leased. A pack that is placed already keeps its terms.
    ///
    /// # Errors
    /// Why not; what was done stays done, and placing again goes on from there.
    pub fn place(&mut self, packs: &[ToPlace], terms: &Terms) -> Result<(), PlacingError> {
        self.register(packs, terms)?;
        // Whoever repairs is entrusted first: what is leased can then be repaired, whatever comes.
        self.entrust(packs)?;
        let mut failed = BTreeSet::new();
        for _ in 0..DRAWS {
            let groups = self.draw(packs, &failed)?;
            if groups.is_empty() {
                return Ok(());
            }
            let before = failed.len();
            self.disperse(packs, groups, &mut failed)?;
            if failed.len() == before {
                break;
            }
        }
        match self.draw(packs, &failed)?.values().map(Vec::len).sum() {
            0 => Ok(()),
            left => Err(PlacingError::Unleased { left }),
        }
    }

    /// Places those packs on the ledger that are not there yet, and waits for the beacon that draws
    /// their peers.
    fn register(&mut self, packs: &[ToPlace], terms: &Terms) -> Result<(), PlacingError> {
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
            let bytes = u64::from(shape.blocks()) * BLOCK_BYTES;
            let price = match terms.price {
                Some(price) => price,
                None => usual_price(&peers, &parameters, bytes, shape.fragments().into())?,
            };
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

    /// The fragments without a lease, by the peer that is drawn for each and the end of its lease. Those
    /// who failed are drawn as all others, and others behind the draw take their places, so that nobody
    /// else's fragment moves.
    fn draw(&self, packs: &[ToPlace], failed: &BTreeSet<Address>) -> Result<Groups, PlacingError> {
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
            let request = Request::of(self.submitter.chain(), pack, &placed, beacon);
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

    /// Hands each peer its fragments, and leases those that it consents to.
    fn disperse(
        &mut self,
        packs: &[ToPlace],
        groups: Groups,
        failed: &mut BTreeSet<Address>,
    ) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let valid_until = state.height()?.saturating_add(CONSENT_BLOCKS);
        let mut batches = Vec::new();
        for ((peer, until_epoch), open) in groups {
            let row: Option<Peer> = overlay.get(&PeerKey { peer })?;
            let address = row.map(|row| row.address).unwrap_or_default();
            for batch in open.chunks(LEASE_FRAGMENTS) {
                let handed = batch.iter().filter_map(|one| handed(packs, one)).collect();
                let price = batch.iter().try_fold(Amount::ZERO, |sum, one| sum.plus(one.price))?;
                batches.push(Drawn { peer, address: address.clone(), until_epoch, price, handed });
            }
        }
        let (chain, owner) = (self.submitter.chain(), self.submitter.address());
        let (network, asker) = (self.submitter.client().network(), self.submitter.key());
        let taken = stream::iter(batches)
            .map(|drawn| {
                let (network, asker) = (&network, asker);
                async move {
                    let Drawn { price, until_epoch, .. } = drawn;
                    let offer = Offer { chain, owner, asker, price, until_epoch, valid_until };
                    let leased = async {
                        let to = Recipient::of(drawn.peer, &drawn.address)?;
                        hand_over(network, &offer, &to, &drawn.handed).await
                    };
                    (leased.await, drawn)
                }
            })
            .buffer_unordered(PEERS_AT_ONCE)
            .collect::<Vec<_>>();
        let (mut actions, mut leased): (Vec<Action>, _) = (Vec::new(), Vec::new());
        for (outcome, Drawn { peer, handed, .. }) in block_on(taken) {
            match outcome {
                Ok((fragments, lease)) => {
                    (self.tell)(Progress::Consented { peer, fragments: fragments.clone() });
                    let bytes = handed.iter().map(|one| one.fragment.fragment.bytes.len() as u64);
                    leased.push((peer, fragments.len(), bytes.sum::<u64>()));
                    actions.push(AssignBatch { fragments, lease }.into());
                }
                Err(error) => {
                    failed.insert(peer);
                    let reason = error.to_string();
                    (self.tell)(Progress::Failed { peer, reason });
                }
            }
        }
        let done = self.submitter.settle(actions)?;
        for ((peer, fragments, bytes), done) in leased.into_iter().zip(done) {
            match done.receipt.refusal {
                None => (self.tell)(Progress::Leased { peer, fragments, bytes }),
                Some(refusal) => {
                    failed.insert(peer);
                    let reason = format!("the ledger refuses the lease: {refusal}");
                    (self.tell)(Progress::Failed { peer, reason });
                }
            }
        }
        Ok(())
    }

    /// Gives the repairers that the packs name their secrets.
    fn entrust(&mut self, packs: &[ToPlace]) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        for one in packs {
            let pack = one.pack.content_id();
            let key = PackKey { pack, owner: self.submitter.address() };
            let Some(placed) = Overlay::new(&state).get(&key)? else { continue };
            for Repairer(repairer) in placed.repairers.iter().copied() {
                let error = self.entrust_one(repairer, one).err();
                (self.tell)(Progress::Entrusted { repairer, pack, error });
            }
        }
        Ok(())
    }

    fn entrust_one(&self, repairer: Address, one: &ToPlace) -> Result<(), String> {
        let state = NodeState::new(self.submitter.client());
        let row = Overlay::new(&state).get(&PeerKey { peer: repairer });
        let row = row.map_err(|error| error.to_string())?;
        let row = row.ok_or("it is no storage peer, so that nobody knows where it is reached")?;
        let to = Recipient::of(repairer, &row.address).map_err(|error| error.to_string())?;
        let secret = SentSecret(*one.secret.as_bytes());
        let (owner, pack) = (self.submitter.address(), one.pack.content_id());
        let question = Question::Entrust { owner, pack, secret };
        let (network, addresses) = (self.submitter.client().network(), vec![to.known.address]);
        let wanted = |reply| matches!(reply, Reply::Kept).then_some(());
        let asked = ask(&network, to.known.peer, addresses, &question, wanted);
        block_on(asked).map_err(|error| error.to_string())
    }
}

/// Fragments by the peer that is drawn for them and the end of its lease.
type Groups = BTreeMap<(Address, u64), Vec<Open>>;

/// What a peer is drawn for.
struct Drawn {
    peer: Address,
    address: Text<256>,
    until_epoch: u64,
    price: Amount,
    handed: Vec<Handed>,
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

fn handed(packs: &[ToPlace], open: &Open) -> Option<Handed> {
    let header = packs.get(open.place)?.pack.header().clone();
    let (pack, shape) = (header.content_id(), header.shape);
    let fragment = StoredFragment { pack, shape, fragment: open.fragment.clone() };
    Some(Handed { header, fragment })
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

/// All storage peers.
pub(crate) fn peers(state: &Overlay<'_>) -> Result<Vec<(Address, Peer)>, StateError> {
    let rows = state.scan::<PeerKey>(&[], PEERS_MOST)?;
    Ok(rows.into_iter().map(|(key, peer)| (key.peer, peer)).collect())
}

/// What as many peers ask as there are fragments, and two more: the cheapest of those that would take
/// one.
fn usual_price(
    peers: &[(Address, Peer)],
    parameters: &Parameters,
    bytes: u64,
    fragments: usize,
) -> Result<Amount, CoinError> {
    let candidates =
        peers.iter().filter_map(|(address, peer)| Candidate::of(*address, peer, parameters));
    let open = candidates.filter(|candidate| candidate.free_bytes >= bytes);
    let asked = open.map(|candidate| candidate.price_per_gib.share(bytes.into(), 1 << 30));
    let mut asked: Vec<Amount> = asked.collect::<Result<_, _>>()?;
    asked.sort_unstable();
    let at = (fragments + SPARE).min(asked.len()).saturating_sub(1);
    Ok(asked.get(at).copied().unwrap_or(Amount::ZERO))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::hash::ChainId;
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
