//! What the storage role takes in: fragments of packs that are placed, and consents to lease them. It
//! is asked on many threads.

use std::sync::Arc;

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{
    AssignedFragment, BLOCK_BYTES, Fragment, Fragments, NewLease, Pack, PackKey, Peer, PeerKey,
    batch_root,
};
use chronolith_chain::state::{Overlay, StateError, View};
use chronolith_fragment::MaskSecret;
use chronolith_net::exchange::{Reply, SentSecret};
use chronolith_net::network::NetworkHandle;
use chronolith_net::pack::PackHeader;
use chronolith_net::store::{Consent, FragmentStore, Keeping};
use chronolith_net::stored::StoredFragment;
use chronolith_net::validator::ChainHandle;

use super::account::Account;
use super::event::{Listener, NodeEvent};
use super::lease_lists::LeaseLists;

/// How far ahead a consent may count: blocks.
const CONSENT_BLOCKS: u64 = 2_000;

/// Takes fragments in.
#[derive(Clone)]
pub(super) struct Intake {
    pub(super) account: Account,
    pub(super) chain: ChainHandle,
    pub(super) network: NetworkHandle,
    pub(super) store: Arc<FragmentStore>,
    pub(super) lists: LeaseLists,
    pub(super) tell: Listener,
}

/// What the ledger says of a pack and of this peer.
struct Facts {
    height: u64,
    peer: Option<Peer>,
    packs: Vec<Option<Pack>>,
}

impl Facts {
    /// The pack that was asked about, if it is placed.
    fn placed(&self, owner: Address, pack: ContentId) -> Result<&Pack, String> {
        let placed = self.packs.first().and_then(Option::as_ref);
        placed.ok_or_else(|| format!("{owner} has not placed pack {pack}"))
    }
}

fn facts(
    state: &dyn View,
    height: u64,
    account: Address,
    owner: Address,
    packs: &[ContentId],
) -> Result<Facts, StateError> {
    let state = Overlay::new(state);
    let rows = packs.iter().map(|pack| state.get(&PackKey { pack: *pack, owner }));
    Ok(Facts {
        height,
        peer: state.get(&PeerKey { peer: account })?,
        packs: rows.collect::<Result<_, _>>()?,
    })
}

impl Intake {
    fn facts(&self, owner: Address, packs: Vec<ContentId>) -> Result<Facts, String> {
        let account = self.account.address;
        let looked = self.chain.look(move |validator| {
            let height = validator.blocks().tip().height;
            facts(validator.state(), height, account, owner, &packs)
        });
        let looked = looked.ok_or("the node is beginning or ending")?;
        looked.map_err(|error| error.to_string())
    }

    /// Takes a fragment in, or says why not.
    pub(super) fn keep(&self, owner: Address, header: &[u8], fragment: &[u8]) -> Reply {
        match self.try_keep(owner, header, fragment) {
            Ok(()) => Reply::Kept,
            Err(reason) => Reply::refused(&reason),
        }
    }

    fn try_keep(&self, owner: Address, header: &[u8], fragment: &[u8]) -> Result<(), String> {
        let header = PackHeader::from_bytes(header).map_err(|error| error.to_string())?;
        let stored = StoredFragment::from_bytes(fragment).map_err(|error| error.to_string())?;
        let (pack, index) = (header.content_id(), stored.fragment.index);
        if stored.pack != pack {
            return Err(format!("the fragment is of pack {}, the header of {pack}", stored.pack));
        }
        let facts = self.facts(owner, vec![pack])?;
        let placed = facts.placed(owner, pack)?;
        ensure_placed(&header, placed)?;
        let peer = open_peer(facts.peer.as_ref())?;
        let bytes = u64::from(placed.blocks) * BLOCK_BYTES;
        ensure_price(peer, bytes, placed.price)?;
        if peer.capacity_bytes.saturating_sub(peer.leased_bytes) < bytes {
            return Err("no room is left of what this peer offers".to_owned());
        }
        let kept = self.store.keep(owner, facts.height, &header, &stored);
        match kept.map_err(|error| error.to_string())? {
            Keeping::Already => {}
            Keeping::New | Keeping::Shared => (self.tell)(NodeEvent::Kept { owner, pack, index }),
        }
        Ok(())
    }

    /// Consents to a lease of fragments that are here, or says why not.
    pub(super) fn consent(&self, owner: Address, fragments: &Fragments, valid_until: u64) -> Reply {
        match self.try_consent(owner, fragments, valid_until) {
            Ok(lease) => Reply::Consent(lease),
            Err(reason) => Reply::refused(&reason),
        }
    }

    fn try_consent(
        &self,
        owner: Address,
        fragments: &Fragments,
        valid_until: u64,
    ) -> Result<NewLease, String> {
        let mut packs: Vec<ContentId> = fragments.iter().map(|fragment| fragment.pack).collect();
        packs.dedup();
        let facts = self.facts(owner, packs.clone())?;
        let most = facts.height.saturating_add(CONSENT_BLOCKS);
        if valid_until > most {
            return Err(format!("a consent counts up to height {most}, not {valid_until}"));
        }
        let peer = open_peer(facts.peer.as_ref())?;
        for (pack, placed) in packs.iter().zip(&facts.packs) {
            let placed = placed.as_ref().ok_or_else(|| format!("{owner} has not placed {pack}"))?;
            ensure_price(peer, u64::from(placed.blocks) * BLOCK_BYTES, placed.price)?;
        }
        let assigned = assigned(&self.store, fragments)?;
        let root = batch_root(&assigned).map_err(|error| error.to_string())?;
        let root = root.ok_or("a lease has at least one fragment")?.hash;
        // What was consented to is on disk before anybody can hold the peer to it.
        let assigned = List::new(assigned).map_err(|error| error.to_string())?;
        let consent = Consent { owner, fragments: assigned, valid_until };
        let recorded = self.store.records().put_consent(&consent);
        recorded.map_err(|error| error.to_string())?;
        let chain = self.chain.look(|validator| validator.chain());
        let chain = chain.ok_or("the node is beginning or ending")?;
        let message = NewLease::consent(chain, owner, fragments, root, valid_until);
        let consent = self.account.key().sign(&message);
        for pack in packs {
            self.network.announce(key_of(&pack));
        }
        (self.tell)(NodeEvent::Consented { owner, fragments: fragments.len() });
        Ok(NewLease { peer: self.account.address, root, valid_until, consent })
    }
}

impl Intake {
    /// Takes the secret of a pack that names this node as a repairer, or says why not.
    pub(super) fn entrust(&self, owner: Address, pack: ContentId, secret: &SentSecret) -> Reply {
        match self.try_entrust(owner, pack, secret) {
            Ok(()) => Reply::Kept,
            Err(reason) => Reply::refused(&reason),
        }
    }

    fn try_entrust(
        &self,
        owner: Address,
        pack: ContentId,
        secret: &SentSecret,
    ) -> Result<(), String> {
        let facts = self.facts(owner, vec![pack])?;
        let placed = facts.placed(owner, pack)?;
        if !placed.repairers.iter().any(|repairer| repairer.0 == self.account.address) {
            return Err(format!("pack {pack} does not name this node as a repairer"));
        }
        let secret = MaskSecret::new(secret.0);
        if Hash(secret.commitment()) != placed.mask {
            return Err(format!("pack {pack} is masked by another secret"));
        }
        let put = self.store.records().put_secret(owner, pack, &secret);
        put.map_err(|error| error.to_string())
    }
}

/// What a pack is announced by: the multihash of its content id.
pub(super) fn key_of(pack: &ContentId) -> Vec<u8> {
    [&[0x12, 32][..], pack.digest()].concat()
}

/// The fragments as leaves of the tree that audits draw from. Each is read and checked.
fn assigned(store: &FragmentStore, fragments: &Fragments) -> Result<Vec<AssignedFragment>, String> {
    let assigned = fragments.iter().map(|fragment| {
        let Fragment { pack, index } = *fragment;
        let found = store.assigned(pack, index).map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("fragment {index} of pack {pack} is not here"))
    });
    assigned.collect()
}

fn ensure_placed(header: &PackHeader, placed: &Pack) -> Result<(), String> {
    let shape = header.shape;
    let is_it = placed.fragments_root == Hash(header.fragments_root)
        && (placed.needed, placed.fragments) == (shape.needed(), shape.fragments())
        && placed.blocks == shape.blocks();
    match is_it {
        true => Ok(()),
        false => Err("the pack is placed with another root or shape than its header has".into()),
    }
}

fn open_peer(peer: Option<&Peer>) -> Result<&Peer, String> {
    peer.filter(|peer| peer.closing_since.is_none())
        .ok_or_else(|| "this peer is not open for new leases".to_owned())
}

fn ensure_price(peer: &Peer, bytes: u64, price: Amount) -> Result<(), String> {
    let asked = peer.price_per_gib.share(bytes.into(), 1 << 30);
    let asked = asked.map_err(|error| error.to_string())?;
    match asked <= price {
        true => Ok(()),
        false => Err(format!("this peer asks {asked} for {bytes} bytes an epoch, not {price}")),
    }
}
