//! What was bought, from the peers of the network.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::RequestId;
use chronolith_fragment::MaskSecret;
use chronolith_net::exchange::{Question, Reply, ask};
use chronolith_net::fetch::{
    FetchSettings, ItemFetch, Keys, PackFetch, Source as Holder, fetch_item, fetch_pack, wait_for,
};
use chronolith_net::network::{Multiaddr, NetworkHandle, PeerId};
use futures::executor::block_on;

use super::source::{Source, SourceError, Take};
use crate::market::note::{NOTE_BYTES_MAX, Note, ToldPack};
use crate::market::purse::Requested;

/// From so many items of a pack on, all of it is fetched.
const ITEMS_OF_WHOLE_PACK: usize = 4;
/// How long one peer may take to give a note.
const NOTE_TIME_MOST: Duration = Duration::from_secs(60);

/// A way to those who keep a pack.
pub struct Way {
    /// The network.
    pub network: NetworkHandle,
    /// Who may have it, beside those whom the network finds.
    pub holders: Vec<Holder>,
    /// What has to live as long as the way is used.
    pub kept: Option<Box<dyn Any>>,
}

/// The peers of a network.
pub struct Peers<F> {
    /// The ways to those who keep a pack.
    pub way: F,
    /// When nothing more is fetched, where that is bounded.
    pub until: Option<Instant>,
}

impl<F: FnMut(ContentId) -> Result<Way, String>> Peers<F> {
    /// How a fetch goes on that ends in time; none where no time is left.
    fn settings(&self) -> Option<FetchSettings> {
        let settings = FetchSettings::default();
        let Some(until) = self.until else { return Some(settings) };
        let left = until.saturating_duration_since(Instant::now());
        let deadline = settings.deadline.min(left);
        (!left.is_zero()).then_some(FetchSettings { deadline, ..settings })
    }

    fn fetch(
        &mut self,
        told: &ToldPack,
        wanted: &[(usize, ContentId)],
        take: Take<'_>,
    ) -> Result<ControlFlow<()>, String> {
        let Way { network, holders, kept: _kept } = (self.way)(told.pack)?;
        let secret = MaskSecret::new(told.mask);
        let pack = told.pack;
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let whole = self.settings().filter(|_| wanted.len() >= ITEMS_OF_WHOLE_PACK);
        let Some(settings) = whole else {
            for (at, item) in wanted {
                let Some(settings) = self.settings() else {
                    if take(*at, Err(SourceError::Late { cid: *item })).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    continue;
                };
                let (keys, sources) = (Keys::Secret(secret.clone()), holders.clone());
                let wish = ItemFetch { pack, item: *item, keys, sources, settings };
                let fetched = wait_for(fetch_item(&network, wish, |_| ()));
                let blocks = match fetched.map_err(|error| failed(&error))? {
                    Ok(fetched) => fetched.item.ok_or(SourceError::Absent { cid: *item }),
                    Err(error) => Err(SourceError::Network(error.to_string())),
                };
                let blocks = blocks.map(|item| (item.lead().to_vec(), item.body().to_vec()));
                if take(*at, blocks).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        };
        let wish = PackFetch { pack, sources: holders, settings, folder: None };
        let fetched = wait_for(fetch_pack(&network, wish, |_| ()));
        let fetched = fetched.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let rebuilt = fetched.collector.rebuild(&secret).map_err(|error| failed(&error))?;
        for (at, cid) in wanted {
            let item = rebuilt.0.body().item(*cid).ok_or(SourceError::Absent { cid: *cid });
            let blocks = item.map(|item| (item.lead().to_vec(), item.body().to_vec()));
            if take(*at, blocks).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl<F: FnMut(ContentId) -> Result<Way, String>> Source for Peers<F> {
    fn blocks(&mut self, note: &Note, take: Take<'_>) -> Result<(), SourceError> {
        let mut by_pack: BTreeMap<u32, Vec<(usize, ContentId)>> = BTreeMap::new();
        let mut in_none = Vec::new();
        for (at, told) in note.chunks.iter().enumerate() {
            match told.pack {
                Some(pack) => by_pack.entry(pack).or_default().push((at, told.path.chunk)),
                None => in_none.push((at, told.path.chunk)),
            }
        }
        for (pack, wanted) in by_pack {
            let fetched = match note.packs.get(pack as usize) {
                Some(told) => self.fetch(told, &wanted, &mut *take),
                None => Err("the note does not say which pack it is in".to_owned()),
            };
            match fetched {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(()),
                Err(reason) => {
                    for (at, _) in wanted {
                        if take(at, Err(SourceError::Network(reason.clone()))).is_break() {
                            return Ok(());
                        }
                    }
                }
            }
        }
        for (at, cid) in in_none {
            if take(at, Err(SourceError::Absent { cid })).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The note of what was asked for, from the first of some peers whose note opens and names chunks that are there,
/// as `is_there` says; else one that opens, if anybody has one in time.
pub fn note_of(
    network: &NetworkHandle,
    peers: impl IntoIterator<Item = (PeerId, Vec<Multiaddr>)>,
    requested: &Requested,
    until: Instant,
    is_there: impl FnMut(&Note) -> bool,
) -> Option<Note> {
    let asked = peers.into_iter().map_while(|(peer, addresses)| {
        let now = Instant::now();
        let until = until.min(now + NOTE_TIME_MOST);
        (now < until).then(|| note_from(network, peer, &addresses, requested.request, until))
    });
    best(asked.flatten(), requested, is_there)
}

/// Anybody may say that he has a note, and seal one to a key that is on the ledger: what does not open, and what names
/// nothing that is there, is passed over while there are others.
fn best(
    sealed: impl IntoIterator<Item = Vec<u8>>,
    requested: &Requested,
    mut is_there: impl FnMut(&Note) -> bool,
) -> Option<Note> {
    let mut other: Option<Note> = None;
    for sealed in sealed {
        let opened = Note::open(&sealed, requested.chain, requested.request, &requested.secret);
        let Ok(note) = opened else { continue };
        if !note.chunks.is_empty() && is_there(&note) {
            return Some(note);
        }
        if other.as_ref().is_none_or(|other| other.chunks.is_empty()) {
            other = Some(note);
        }
    }
    other
}

/// The note of a request, from one peer; none where it does not have it, cannot be reached, or takes too long.
fn note_from(
    network: &NetworkHandle,
    peer: PeerId,
    addresses: &[Multiaddr],
    request: RequestId,
    until: Instant,
) -> Option<Vec<u8>> {
    let (mut note, mut index) = (Vec::new(), 0);
    while Instant::now() < until {
        let question = Question::Note { request, index };
        let asked = ask(network, peer, addresses.to_vec(), &question, |reply| match reply {
            Reply::Note { piece, pieces } => Some(Some((piece, pieces))),
            // Not yet, or not any more: that is no lie.
            Reply::Absent => Some(None),
            _ => None,
        });
        let (piece, pieces) = block_on(asked).ok()??;
        note.extend_from_slice(&piece);
        index += 1;
        if note.len() > NOTE_BYTES_MAX || piece.is_empty() {
            return None;
        }
        if index >= pieces {
            return Some(note);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use chronolith_chain::address::Address;
    use chronolith_chain::encoding::List;
    use chronolith_chain::hash::{ChainId, Hash, OfferId};
    use chronolith_engine::KeyRandom;
    use chronolith_keys::OneTimeSecret;

    use super::*;
    use crate::chain::prove::ChunkPath;
    use crate::market::note::ToldChunk;

    /// The note of whoever announced it first was taken. A stranger who sent bytes that do not open kept the owner's
    /// note from being asked for, and with it what was bought and its dispute.
    #[test]
    fn the_note_of_a_stranger_keeps_nobody_from_that_of_the_owner() {
        let mut random = KeyRandom::new().unwrap();
        let (chain, request) = (ChainId([1; 32]), RequestId([2; 32]));
        let secret = OneTimeSecret::generate(&mut random);
        let requested = Requested {
            request,
            chain,
            offer: OfferId([3; 32]),
            since: 0,
            secret: secret.clone(),
            scope: None,
        };
        let owner = Address([4; 32]);
        let note_by = |producer: Option<Address>| {
            let told = producer.map(|producer| ToldChunk {
                path: ChunkPath {
                    chunk: ContentId::of_raw(b"a chunk"),
                    index: 0,
                    path: List::default(),
                    producer,
                    root: Hash([5; 32]),
                },
                pack: None,
            });
            let chunks: Vec<ToldChunk> = told.into_iter().collect();
            Note { request, chunks: List::new(chunks).unwrap(), packs: List::default() }
        };
        let [owners, foreign, empty] = [Some(owner), Some(Address([6; 32])), None].map(note_by);
        let seal = |note: &Note| note.seal(chain, &secret.public(), &mut random).unwrap();
        let [own, other, none] = [&owners, &foreign, &empty].map(seal);
        let is_there = |note: &Note| note.chunks.iter().all(|told| told.path.producer == owner);
        let found =
            |all: &[&[u8]]| best(all.iter().map(|sealed| sealed.to_vec()), &requested, is_there);
        let nonsense = b"nothing".as_slice();
        assert_eq!(found(&[nonsense, &none, &other, &own]), Some(owners.clone()));
        assert_eq!(found(&[&own, &other]), Some(owners), "nobody else is asked");
        // What cannot be seen to be there is better than what names nothing, and that than no note.
        assert_eq!(found(&[&none, nonsense, &other]), Some(foreign));
        assert_eq!(found(&[nonsense, &none]), Some(empty));
        assert_eq!(found(&[nonsense]), None);
    }
}
