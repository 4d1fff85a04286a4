//! Having packs kept: they are placed on the ledger, peers are drawn for their fragments, and each
//! peer is handed its own and leases them.
//!
//! Every step leaves its mark on the ledger, so that placing again goes on where it was broken off.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, CoinError};
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Rising, Text};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    Action, AssignBatch, BLOCK_BYTES, BeaconKey, PackKey, Parameters, ParametersKey, Peer, PeerKey,
    PlacePack, Repairer,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::{Fragment, MaskSecret};
use chronolith_net::dispersal::{HandOverError, Handed, LEASE_FRAGMENTS, Recipient, hand_over};
use chronolith_net::exchange::{Question, Reply, SentSecret, ask};
use chronolith_net::pack::Pack;
use chronolith_net::placement::{Candidate, NotEnough, Request, place};
use chronolith_net::stored::StoredFragment;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};

use super::submit::{SubmitError, Submitter};
use super::{NodeError, NodeState};

/// To how many peers fragments are handed at once.
const PEERS_AT_ONCE: usize = 8;
/// For how many blocks a consent is to count.
const CONSENT_BLOCKS: u64 = 1_000;
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
    /// What is paid for a fragment and an epoch; none for as much as twice as many peers as there are
    /// fragments ask, or all peers.
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
    #[error("pack {pack}: {source}")]
    NotEnough {
        /// Which pack.
        pack: ContentId,
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
        error: HandOverError,
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
            Self::Leased { peer, fragments, bytes } => {
                write!(f, "{peer} leased {fragments} fragments of {bytes} bytes")
            }
            Self::Failed { peer, error } => write!(f, "{peer} takes nothing: {error}"),
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
}

impl<'a> Placer<'a> {
    /// Places packs of the account that a submitter hands in for.
    pub fn new(submitter: Submitter<'a>, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self { submitter, tell }
    }

    /// Places packs and has all their fragments leased.
    ///
    /// # Errors
    /// Why not; what was done stays done, and placing again goes on from there.
    pub fn place(&mut self, packs: &[ToPlace], terms: &Terms) -> Result<(), PlacingError> {
        self.register(packs, terms)?;
        let mut failed = BTreeSet::new();
        for draw in 1..=DRAWS {
            let groups = self.draw(packs, &failed)?;
            if groups.is_empty() {
                break;
            }
            let before = failed.len();
            self.disperse(packs, groups, &mut failed)?;
            if failed.len() == before || draw == DRAWS {
                break;
            }
        }
        self.entrust(packs, terms);
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
                drawn_at = drawn_at.max(parameters.epoch_end(placed.placed_epoch + 1));
                continue;
            }
            let shape = header.shape;
            let bytes = u64::from(shape.blocks()) * BLOCK_BYTES;
            let price = match terms.price {
                Some(price) => price,
                None => usual_price(&peers, bytes, shape.fragments().into())?,
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

    /// The fragments without a lease, by the peer that is drawn for each.
    fn draw(
        &self,
        packs: &[ToPlace],
        failed: &BTreeSet<Address>,
    ) -> Result<BTreeMap<Address, Vec<Open>>, PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let peers = peers(&overlay)?;
        let parameters: Parameters = overlay.get(&ParametersKey {})?.unwrap_or_default();
        let candidate =
            |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, &parameters);
        let candidates: Vec<Candidate> = peers.iter().filter_map(candidate).collect();
        let mut groups: BTreeMap<Address, Vec<Open>> = BTreeMap::new();
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
            request.excluded.extend(failed);
            let chosen = place(&candidates, &request)
                .map_err(|source| PlacingError::NotEnough { pack, source })?;
            let encoded = one
                .pack
                .fragments(&one.secret)
                .map_err(|error| PlacingError::Pack { pack, reason: error.to_string() })?;
            for fragment in encoded.into_fragments() {
                let peer = chosen.get(usize::from(fragment.index));
                if let Some(peer) = peer.filter(|_| open.contains(&fragment.index)) {
                    groups.entry(*peer).or_default().push(Open { place: number, fragment });
                }
            }
        }
        Ok(groups)
    }

    /// Hands each peer its fragments, and leases those that it consents to.
    fn disperse(
        &mut self,
        packs: &[ToPlace],
        groups: BTreeMap<Address, Vec<Open>>,
        failed: &mut BTreeSet<Address>,
    ) -> Result<(), PlacingError> {
        let state = NodeState::new(self.submitter.client());
        let overlay = Overlay::new(&state);
        let valid_until = state.height()?.saturating_add(CONSENT_BLOCKS);
        let mut batches = Vec::new();
        for (peer, open) in groups {
            let row: Option<Peer> = overlay.get(&PeerKey { peer })?;
            let address = row.map(|row| row.address).unwrap_or_default();
            for batch in open.chunks(LEASE_FRAGMENTS) {
                let handed = batch.iter().filter_map(|one| handed(packs, one)).collect();
                batches.push((peer, address.clone(), handed));
            }
        }
        let network = self.submitter.client().network();
        let (chain, owner) = (self.submitter.chain(), self.submitter.address());
        let taken = stream::iter(batches)
            .map(|(peer, address, handed): (Address, Text<256>, Vec<Handed>)| {
                let network = &network;
                async move {
                    let leased = async {
                        let to = Recipient::of(peer, &address)?;
                        hand_over(network, chain, owner, &to, &handed, valid_until).await
                    };
                    (peer, leased.await, handed)
                }
            })
            .buffer_unordered(PEERS_AT_ONCE)
            .collect::<Vec<_>>();
        let (mut actions, mut leased): (Vec<Action>, _) = (Vec::new(), Vec::new());
        for (peer, outcome, handed) in block_on(taken) {
            match outcome {
                Ok((fragments, lease)) => {
                    let bytes = handed.iter().map(|one| one.fragment.fragment.bytes.len() as u64);
                    leased.push(Progress::Leased {
                        peer,
                        fragments: fragments.len(),
                        bytes: bytes.sum(),
                    });
                    actions.push(AssignBatch { fragments, lease }.into());
                }
                Err(error) => {
                    failed.insert(peer);
                    (self.tell)(Progress::Failed { peer, error });
                }
            }
        }
        self.submitter.commit("lease fragments", actions)?;
        leased.into_iter().for_each(|progress| (self.tell)(progress));
        Ok(())
    }

    /// Gives the repairers the secrets of the packs.
    fn entrust(&mut self, packs: &[ToPlace], terms: &Terms) {
        for repairer in &terms.repairers {
            for one in packs {
                let pack = one.pack.content_id();
                let error = self.entrust_one(*repairer, one).err();
                (self.tell)(Progress::Entrusted { repairer: *repairer, pack, error });
            }
        }
    }

    fn entrust_one(&self, repairer: Address, one: &ToPlace) -> Result<(), String> {
        let state = NodeState::new(self.submitter.client());
        let row = Overlay::new(&state).get(&PeerKey { peer: repairer });
        let row = row.map_err(|error| error.to_string())?;
        let row = row.ok_or("it is no storage peer, so that nobody knows where it is reached")?;
        let to = Recipient::of(repairer, &row.address).map_err(|error| error.to_string())?;
        let secret = SentSecret(*one.secret.as_bytes());
        let question = Question::Entrust {
            owner: self.submitter.address(),
            pack: one.pack.content_id(),
            secret,
        };
        let (network, addresses) = (self.submitter.client().network(), vec![to.known.address]);
        let wanted = |reply| matches!(reply, Reply::Kept).then_some(());
        let asked = ask(&network, to.known.peer, addresses, &question, wanted);
        block_on(asked).map_err(|error| error.to_string())
    }
}

fn handed(packs: &[ToPlace], open: &Open) -> Option<Handed> {
    let header = packs.get(open.place)?.pack.header().clone();
    let (pack, shape) = (header.content_id(), header.shape);
    let fragment = StoredFragment { pack, shape, fragment: open.fragment.clone() };
    Some(Handed { header, fragment })
}

fn sorted(mut repairers: Vec<Repairer>) -> Vec<Repairer> {
    repairers.sort_by_key(|repairer| repairer.0);
    repairers
}

/// All storage peers.
pub(super) fn peers(state: &Overlay<'_>) -> Result<Vec<(Address, Peer)>, StateError> {
    let rows = state.scan::<PeerKey>(&[], PEERS_MOST)?;
    Ok(rows.into_iter().map(|(key, peer)| (key.peer, peer)).collect())
}

/// What twice as many peers as there are fragments ask, or all of them.
fn usual_price(
    peers: &[(Address, Peer)],
    bytes: u64,
    fragments: usize,
) -> Result<Amount, CoinError> {
    let open = peers.iter().filter(|(_, peer)| peer.closing_since.is_none());
    let asked = open.map(|(_, peer)| peer.price_per_gib.share(bytes.into(), 1 << 30));
    let mut asked: Vec<Amount> = asked.collect::<Result<_, _>>()?;
    asked.sort_unstable();
    let at = (2 * fragments).min(asked.len()).saturating_sub(1);
    Ok(asked.get(at).copied().unwrap_or(Amount::ZERO))
}
