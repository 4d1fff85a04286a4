//! Joining by a snapshot.
//!
//! Several peers are asked which snapshot they serve. Of those that offer the same, one shows why its
//! header is to be trusted; then all give pieces, two at a time each. Every piece is checked when it
//! arrives. Who lies is named, blamed, and not asked again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chronolith_chain::consensus::snapshot::{
    Approach, Approved, JoinError, Joining, OfferError, SnapshotHead,
};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::hash::BlockId;
use chronolith_chain::light::{Options, Step, StepError, Trusted};
use chronolith_chain::state;
use chronolith_chain::validator_set::ValidatorSetError;
use chronolith_disk::Disk;
use futures::future::{FutureExt as _, join_all};
use futures::stream::{FuturesUnordered, StreamExt as _};
use libp2p::PeerId;

use crate::exchange::{AskError, Question, Reply, ask};
use crate::network::{KnownPeer, NetworkHandle};
use crate::validator::Clock;

/// How many pieces are asked of one peer at once.
const AT_ONCE: usize = 2;
/// After so many silences in a row a peer is not asked any more.
const SILENCES: u32 = 3;
/// How often peers are asked anew what they serve, where a snapshot went before it was there.
const ATTEMPTS: usize = 3;

/// What is trusted beforehand.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The genesis.
    Genesis,
    /// A block that was told by somebody who is trusted.
    Block {
        /// Its height.
        height: u64,
        /// Its id.
        id: BlockId,
    },
    /// A header that is known here.
    Header(Box<Trusted>),
}

/// What is to be fetched, by whom and into which folder.
pub struct SnapshotFetch<'a> {
    /// Asks.
    pub network: &'a NetworkHandle,
    /// Who may serve.
    pub peers: Vec<KnownPeer>,
    /// The folder of the chain's data.
    pub disk: Arc<dyn Disk>,
    /// What [`Joining::resume`] gave for it.
    pub begun: Option<Joining>,
    /// The chain.
    pub genesis: &'a Genesis,
    /// What is trusted of it.
    pub trust: Trust,
    /// How far that reaches.
    pub options: Options,
    /// Only a snapshot above this height is of use.
    pub above: u64,
    /// How the state is kept.
    pub state: state::Options,
}

/// What happens on the way.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotEvent {
    /// A fetch that was interrupted goes on.
    Resumed {
        /// Of which height.
        height: u64,
        /// How many pieces are there.
        there: u32,
        /// Of how many.
        pieces: u32,
    },
    /// A snapshot's header is trusted, and its pieces are fetched.
    Chosen {
        /// The height.
        height: u64,
        /// The block.
        block: BlockId,
        /// How many pieces there are.
        pieces: u32,
        /// How many peers serve it.
        peers: usize,
    },
    /// A peer lied. It is not asked again.
    Lied {
        /// Who.
        peer: PeerId,
        /// What it said.
        lie: SnapshotLie,
    },
    /// A peer cannot serve, or does not answer.
    Left {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: String,
    },
    /// The files are those of a chain that begins at the snapshot.
    Joined {
        /// The height.
        height: u64,
        /// The block.
        block: BlockId,
    },
}

/// What no honest peer says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotLie {
    /// What it offers does not hold.
    #[error(transparent)]
    Offer(OfferError),
    /// A piece is not part of the state.
    #[error(transparent)]
    Piece(JoinError),
    /// Its block of the height that is trusted is another.
    #[error("its block of height {height} is {found}, which is not the one that is trusted")]
    OtherBlock {
        /// The height.
        height: u64,
        /// Its block.
        found: BlockId,
    },
    /// It answers what was not asked.
    #[error("it gave an answer that is none")]
    Nonsense,
}

/// Why no snapshot is taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFetchError {
    /// The genesis' validators are no set.
    #[error(transparent)]
    Genesis(#[from] ValidatorSetError),
    /// Nobody serves one that can be trusted.
    #[error("no peer serves a snapshot above height {above} that can be trusted{}", list(reasons))]
    Nobody {
        /// Above which height.
        above: u64,
        /// What was wrong with whom.
        reasons: Vec<(PeerId, String)>,
    },
    /// Validators committed two blocks of one height: there is no telling which chain is the right one.
    #[error(
        "peer {peer} has another committed block of height {height}, {found}, than {block} of the \
         snapshot: the chain has forked, so ask somebody you trust for a block of it"
    )]
    Fork {
        /// Of which height.
        height: u64,
        /// The snapshot's block.
        block: BlockId,
        /// Who has another.
        peer: PeerId,
        /// Which.
        found: BlockId,
    },
    /// The snapshots went before all pieces were there.
    #[error(
        "of the snapshot of height {height}, {missing} pieces are missing, and nobody gives them"
    )]
    Gone {
        /// Of which height.
        height: u64,
        /// How many.
        missing: usize,
    },
    /// The folder cannot be written, or its files cannot be made.
    #[error(transparent)]
    Join(#[from] JoinError),
}

fn list(reasons: &[(PeerId, String)]) -> String {
    reasons.iter().map(|(peer, reason)| format!("; {peer}: {reason}")).collect()
}

/// A peer with what it offers.
struct Offer {
    peer: KnownPeer,
    head: SnapshotHead,
}

/// Who offers the same: the same block, cut alike.
fn is_same(one: &SnapshotHead, other: &SnapshotHead) -> bool {
    (one.block(), one.bits) == (other.block(), other.bits)
}

/// Why a peer's offer is not taken.
enum NotTaken {
    Lie(SnapshotLie),
    Left(String),
}

/// Fetches a snapshot, or goes on with one, and makes the files of a chain of it. After a kill, or an error,
/// what arrived is in the folder, and the next fetch asks for the rest.
///
/// # Errors
/// Why there is none; the chain that may be in the folder is as it was.
pub async fn fetch_snapshot(
    mut fetch: SnapshotFetch<'_>,
    told: &mut (dyn FnMut(SnapshotEvent) + Send),
) -> Result<SnapshotHead, SnapshotFetchError> {
    let mut begun = fetch.begun.take();
    if let Some(joining) = &begun {
        let (height, pieces) = (joining.head().height(), joining.count());
        let missing = joining.missing().count();
        let there = pieces.saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX));
        told(SnapshotEvent::Resumed { height, there, pieces });
    }
    let mut session = Session { fetch, told, liars: BTreeSet::new(), reasons: Vec::new() };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (mut joining, peers) = match begun.take() {
            Some(joining) if joining.missing().next().is_none() => (joining, Vec::new()),
            begun => session.choose(begun).await?,
        };
        session.pieces(&mut joining, peers).await?;
        let missing = joining.missing().count();
        if missing == 0 {
            let head = joining.head().clone();
            joining.finish(session.fetch.state)?;
            let (height, block) = (head.height(), head.block());
            (session.told)(SnapshotEvent::Joined { height, block });
            return Ok(head);
        }
        if attempt >= ATTEMPTS {
            let height = joining.head().height();
            return Err(SnapshotFetchError::Gone { height, missing });
        }
        begun = Some(joining);
    }
}

struct Session<'a, 'b> {
    fetch: SnapshotFetch<'a>,
    told: &'b mut (dyn FnMut(SnapshotEvent) + Send),
    liars: BTreeSet<PeerId>,
    reasons: Vec<(PeerId, String)>,
}

impl Session<'_, '_> {
    fn lied(&mut self, peer: PeerId, lie: SnapshotLie) {
        self.liars.insert(peer);
        self.fetch.network.blame(peer);
        self.reasons.push((peer, lie.to_string()));
        (self.told)(SnapshotEvent::Lied { peer, lie });
    }

    fn left(&mut self, peer: PeerId, reason: String) {
        self.reasons.push((peer, reason.clone()));
        (self.told)(SnapshotEvent::Left { peer, reason });
    }

    fn failed(&mut self, peer: PeerId, error: &AskError) {
        match error {
            // `ask` has blamed it.
            AskError::Nonsense(_) => self.lied(peer, SnapshotLie::Nonsense),
            AskError::Request(_) | AskError::Refused { .. } => self.left(peer, error.to_string()),
        }
    }

    /// Asks all peers which snapshot they serve.
    async fn offers(&mut self) -> Vec<Offer> {
        let peers = self.fetch.peers.iter().filter(|known| !self.liars.contains(&known.peer));
        let network = self.fetch.network;
        let asked = peers.cloned().map(|peer| async move {
            let addresses = vec![peer.address.clone()];
            let question = Question::SnapshotHead;
            let told = ask(network, peer.peer, addresses, &question, |reply| match reply {
                Reply::SnapshotHead(head) => Some(Some(head)),
                Reply::Absent => Some(None),
                _ => None,
            });
            (told.await, peer)
        });
        let mut offers = Vec::new();
        for (told, peer) in join_all(asked).await {
            match told {
                Ok(Some(head)) if head.height() > self.fetch.above => {
                    offers.push(Offer { peer, head: *head });
                }
                Ok(Some(head)) => {
                    let height = head.height();
                    self.left(peer.peer, format!("its snapshot is of height {height}"));
                }
                Ok(None) => self.left(peer.peer, "it has no snapshot".to_owned()),
                Err(error) => self.failed(peer.peer, &error),
            }
        }
        offers
    }

    /// Chooses a snapshot: the one that was begun where it is still served, or else the one that most
    /// peers serve and that can be trusted.
    async fn choose(
        &mut self,
        begun: Option<Joining>,
    ) -> Result<(Joining, Vec<KnownPeer>), SnapshotFetchError> {
        self.reasons.clear();
        let offers = self.offers().await;
        if let Some(joining) = begun {
            let same = offers.iter().filter(|offer| is_same(&offer.head, joining.head()));
            let peers: Vec<KnownPeer> = same.map(|offer| offer.peer.clone()).collect();
            if !peers.is_empty() {
                return Ok((joining, peers));
            }
        }
        let mut groups: BTreeMap<(u64, BlockId, u8), Vec<Offer>> = BTreeMap::new();
        for offer in offers {
            let key = (offer.head.height(), offer.head.block(), offer.head.bits);
            groups.entry(key).or_default().push(offer);
        }
        let mut groups: Vec<Vec<Offer>> = groups.into_values().rev().collect();
        // Of those that as many serve, the newest stays first.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        for (at, group) in groups.iter().enumerate() {
            let mut approved = None;
            for offer in group {
                match self.approve(offer).await? {
                    Ok(found) => {
                        approved = Some(found);
                        break;
                    }
                    Err(NotTaken::Lie(lie)) => self.lied(offer.peer.peer, lie),
                    Err(NotTaken::Left(reason)) => self.left(offer.peer.peer, reason),
                }
            }
            if let Some(approved) = approved {
                let others = groups.iter().enumerate().filter(|(other, _)| *other != at);
                for offer in others.flat_map(|(_, offers)| offers) {
                    self.compare(&approved, &offer.peer).await?;
                }
                let honest = group.iter().filter(|offer| !self.liars.contains(&offer.peer.peer));
                let peers: Vec<KnownPeer> = honest.map(|offer| offer.peer.clone()).collect();
                let joining = Joining::begin(&self.fetch.disk, approved)?;
                let (height, block) = (joining.head().height(), joining.head().block());
                let (pieces, of) = (joining.count(), peers.len());
                (self.told)(SnapshotEvent::Chosen { height, block, pieces, peers: of });
                return Ok((joining, peers));
            }
        }
        let reasons = std::mem::take(&mut self.reasons);
        Err(SnapshotFetchError::Nobody { above: self.fetch.above, reasons })
    }

    /// Compares a snapshot's block with the one that a peer has at that height, who offers another snapshot.
    async fn compare(
        &mut self,
        approved: &Approved,
        peer: &KnownPeer,
    ) -> Result<(), SnapshotFetchError> {
        let (height, block) = (approved.head().height(), approved.head().block());
        if self.liars.contains(&peer.peer) {
            return Ok(());
        }
        // Who has not that height, or does not answer, says nothing against it.
        let Ok(steps) = self.steps(peer, height.saturating_sub(1), height).await else {
            return Ok(());
        };
        let step = steps.into_iter().find(|step| step.header.height == height);
        let Some(step) = step.filter(|step| step.header.id() != block) else { return Ok(()) };
        let found = step.header.id();
        let Step { validators, header, .. } = &approved.head().step;
        let is_of_block = (step.certificate.height(), step.certificate.block()) == (height, found);
        if is_of_block && step.certificate.verify(validators, header.chain).is_ok() {
            return Err(SnapshotFetchError::Fork { height, block, peer: peer.peer, found });
        }
        self.lied(peer.peer, SnapshotLie::OtherBlock { height, found });
        Ok(())
    }

    /// Has a peer show why the header of its snapshot is to be trusted.
    async fn approve(
        &self,
        offer: &Offer,
    ) -> Result<Result<Approved, NotTaken>, SnapshotFetchError> {
        let trusted = match &self.fetch.trust {
            Trust::Genesis => Trusted::genesis(self.fetch.genesis)?,
            Trust::Header(trusted) => Trusted::clone(trusted),
            Trust::Block { height, id } => {
                match self.trusted_block(&offer.peer, *height, *id).await {
                    Ok(trusted) => trusted,
                    Err(reason) => return Ok(Err(reason)),
                }
            }
        };
        Ok(self.approach(offer, trusted).await)
    }

    /// The header of the block that is trusted, as a peer has it.
    async fn trusted_block(
        &self,
        peer: &KnownPeer,
        height: u64,
        id: BlockId,
    ) -> Result<Trusted, NotTaken> {
        let steps = self.steps(peer, height.saturating_sub(1), height).await?;
        let step = steps.into_iter().find(|step| step.header.height == height);
        let Some(step) = step else { return Err(NotTaken::Lie(SnapshotLie::Nonsense)) };
        let found = step.header.id();
        if found != id {
            return Err(NotTaken::Lie(SnapshotLie::OtherBlock { height, found }));
        }
        Trusted::header(step.header, step.validators).map_err(|reason| not_trusted(height, reason))
    }

    async fn approach(&self, offer: &Offer, trusted: Trusted) -> Result<Approved, NotTaken> {
        let (until, clock) = (offer.head.height(), Clock::start());
        let options = &self.fetch.options;
        let mut approach = Approach::new(trusted);
        while approach.height() < until {
            let steps = self.steps(&offer.peer, approach.height(), until).await?;
            let before = approach.height();
            for step in steps.into_iter().filter(|step| step.header.height < until) {
                approach.step(step, clock.now().time_ns, options).map_err(not_taken)?;
            }
            // Whatever is left is the last step, which the offer has.
            if approach.height() == before {
                break;
            }
        }
        approach.arrive(offer.head.clone(), clock.now().time_ns, options).map_err(not_taken)
    }

    async fn steps(&self, peer: &KnownPeer, since: u64, until: u64) -> Result<Vec<Step>, NotTaken> {
        let question = Question::Steps { since, until };
        let addresses = vec![peer.address.clone()];
        let told = ask(self.fetch.network, peer.peer, addresses, &question, |reply| match reply {
            Reply::Steps(steps) => Some(Some(steps)),
            Reply::Absent => Some(None),
            _ => None,
        });
        match told.await {
            Ok(Some(steps)) => Ok(steps.to_vec()),
            Ok(None) => {
                let reason = format!("it does not know who validated from height {since} on");
                Err(NotTaken::Left(reason))
            }
            Err(AskError::Nonsense(_)) => Err(NotTaken::Lie(SnapshotLie::Nonsense)),
            Err(error) => Err(NotTaken::Left(error.to_string())),
        }
    }

    /// Fetches missing pieces from peers, as long as one gives some.
    async fn pieces(
        &mut self,
        joining: &mut Joining,
        peers: Vec<KnownPeer>,
    ) -> Result<(), SnapshotFetchError> {
        let (network, height) = (self.fetch.network, joining.head().height());
        let mut wanted: VecDeque<u32> = joining.missing().collect();
        let mut sources: BTreeMap<PeerId, Source> = peers
            .into_iter()
            .map(|known| (known.peer, Source { known, asked: 0, silences: 0 }))
            .collect();
        let mut flights = FuturesUnordered::new();
        loop {
            while let Some(source) = least_busy(&mut sources)
                && let Some(index) = wanted.pop_front()
            {
                source.asked += 1;
                let known = source.known.clone();
                flights.push(
                    async move { (known.peer, index, piece(network, known, height, index).await) }
                        .boxed(),
                );
            }
            let Some((peer, index, answer)) = flights.next().await else { return Ok(()) };
            if let Some(source) = sources.get_mut(&peer) {
                source.asked -= 1;
            }
            let is_taken = match answer {
                Ok(Some(bytes)) => match joining.take(index, &bytes) {
                    Ok(()) => true,
                    Err(error) if error.is_fault() => {
                        sources.remove(&peer);
                        if !self.liars.contains(&peer) {
                            self.lied(peer, SnapshotLie::Piece(error));
                        }
                        false
                    }
                    Err(error) => return Err(error.into()),
                },
                Ok(None) => {
                    if sources.remove(&peer).is_some() {
                        self.left(peer, "its snapshot is gone".to_owned());
                    }
                    false
                }
                Err(error) => {
                    let is_silence = matches!(error, AskError::Request(_));
                    let silences = sources.get_mut(&peer).map_or(0, |source| {
                        source.silences += 1;
                        source.silences
                    });
                    if silences > 0 && (!is_silence || silences >= SILENCES) {
                        sources.remove(&peer);
                        self.failed(peer, &error);
                    }
                    false
                }
            };
            match sources.get_mut(&peer) {
                Some(source) if is_taken => source.silences = 0,
                _ if !is_taken => wanted.push_front(index),
                _ => {}
            }
        }
    }
}

/// A peer that gives pieces.
struct Source {
    known: KnownPeer,
    asked: usize,
    silences: u32,
}

/// The one of whom the least is asked, where somebody can be asked more.
fn least_busy(sources: &mut BTreeMap<PeerId, Source>) -> Option<&mut Source> {
    sources.values_mut().filter(|source| source.asked < AT_ONCE).min_by_key(|source| source.asked)
}

async fn piece(
    network: &NetworkHandle,
    peer: KnownPeer,
    height: u64,
    index: u32,
) -> Result<Option<Vec<u8>>, AskError> {
    let question = Question::SnapshotChunk { height, index };
    let told = ask(network, peer.peer, vec![peer.address], &question, |reply| match reply {
        Reply::SnapshotChunk(bytes) => Some(Some(bytes.to_vec())),
        Reply::Absent => Some(None),
        _ => None,
    });
    told.await
}

fn not_taken(error: OfferError) -> NotTaken {
    if error.is_fault() {
        NotTaken::Lie(SnapshotLie::Offer(error))
    } else {
        NotTaken::Left(error.to_string())
    }
}

fn not_trusted(height: u64, reason: StepError) -> NotTaken {
    not_taken(OfferError::Step { height, reason })
}
