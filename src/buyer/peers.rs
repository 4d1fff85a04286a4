//! What was bought, from the peers of the network.

use std::any::Any;
use std::collections::BTreeMap;

use chronolith_chain::content::ContentId;
use chronolith_chain::hash::RequestId;
use chronolith_fragment::MaskSecret;
use chronolith_net::exchange::{Question, Reply, ask};
use chronolith_net::fetch::{
    FetchSettings, ItemFetch, Keys, PackFetch, Source as Holder, fetch_item, fetch_pack, wait_for,
};
use chronolith_net::network::{Multiaddr, NetworkHandle, PeerId};
use futures::executor::block_on;

use super::source::{Blocks, Source, SourceError};
use crate::market::note::{NOTE_BYTES_MAX, Note, ToldPack};

/// From so many items of a pack on, all of it is fetched.
const ITEMS_OF_WHOLE_PACK: usize = 4;

/// A way to those who keep a pack.
pub struct Way {
    /// The network.
    pub network: NetworkHandle,
    /// Who may have it, beside those whom the network finds.
    pub holders: Vec<Holder>,
    /// What has to live as long as the way is used.
    pub kept: Option<Box<dyn Any>>,
}

/// The peers of a network, by the ways to them.
pub struct Peers<F>(pub F);

impl<F: FnMut(ContentId) -> Result<Way, String>> Peers<F> {
    fn fetch(
        &mut self,
        told: &ToldPack,
        wanted: &[(usize, ContentId)],
        take: &mut dyn FnMut(usize, Result<Blocks, SourceError>),
    ) -> Result<(), String> {
        let Way { network, holders, kept: _kept } = (self.0)(told.pack)?;
        let secret = MaskSecret::new(told.mask);
        let (pack, settings) = (told.pack, FetchSettings::default());
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        if wanted.len() < ITEMS_OF_WHOLE_PACK {
            for (at, item) in wanted {
                let (keys, sources) = (Keys::Secret(secret.clone()), holders.clone());
                let wish = ItemFetch { pack, item: *item, keys, sources, settings };
                let fetched = wait_for(fetch_item(&network, wish, |_| ()));
                let blocks = match fetched.map_err(|error| failed(&error))? {
                    Ok(fetched) => fetched.item.ok_or(SourceError::Absent { cid: *item }),
                    Err(error) => Err(SourceError::Network(error.to_string())),
                };
                take(*at, blocks.map(|item| (item.lead().to_vec(), item.body().to_vec())));
            }
            return Ok(());
        }
        let wish = PackFetch { pack, sources: holders, settings, folder: None };
        let fetched = wait_for(fetch_pack(&network, wish, |_| ()));
        let fetched = fetched.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let rebuilt = fetched.collector.rebuild(&secret).map_err(|error| failed(&error))?;
        for (at, cid) in wanted {
            let item = rebuilt.0.body().item(*cid).ok_or(SourceError::Absent { cid: *cid });
            take(*at, item.map(|item| (item.lead().to_vec(), item.body().to_vec())));
        }
        Ok(())
    }
}

impl<F: FnMut(ContentId) -> Result<Way, String>> Source for Peers<F> {
    fn blocks(
        &mut self,
        note: &Note,
        take: &mut dyn FnMut(usize, Result<Blocks, SourceError>),
    ) -> Result<(), SourceError> {
        let mut by_pack: BTreeMap<u32, Vec<(usize, ContentId)>> = BTreeMap::new();
        for (at, told) in note.chunks.iter().enumerate() {
            match told.pack {
                Some(pack) => by_pack.entry(pack).or_default().push((at, told.path.chunk)),
                None => take(at, Err(SourceError::Absent { cid: told.path.chunk })),
            }
        }
        for (pack, wanted) in by_pack {
            let failed = match note.packs.get(pack as usize) {
                Some(told) => self.fetch(told, &wanted, take).err(),
                None => Some("the note does not say which pack it is in".to_owned()),
            };
            if let Some(reason) = failed {
                for (at, _) in wanted {
                    take(at, Err(SourceError::Network(reason.clone())));
                }
            }
        }
        Ok(())
    }
}

/// The note of a request, from one peer; none where it does not have it or cannot be reached.
#[must_use]
pub fn note_from(
    network: &NetworkHandle,
    peer: PeerId,
    addresses: &[Multiaddr],
    request: RequestId,
) -> Option<Vec<u8>> {
    let (mut note, mut index) = (Vec::new(), 0);
    loop {
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
}
