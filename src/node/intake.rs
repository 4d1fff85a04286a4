//! What the storage role takes in: fragments of packs that are placed, and consents to lease them. It
//! is asked on many threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::consensus::Validator;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::List;
use chronolith_chain::hash::{ChainId, Hash};
use chronolith_chain::ledger::{
    AssignedFragment, BLOCK_BYTES, Fragment, Fragments, LeaseTerms, NewLease, Pack, PackKey, Peer,
    PeerKey, batch_root, fragments_hash,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::MaskSecret;
use chronolith_net::exchange::{Asked, Asker, Reply, SentSecret};
use chronolith_net::network::{NetworkHandle, lookup_key};
use chronolith_net::pack::PackHeader;
use chronolith_net::store::{Consent, FragmentStore, Keeping, StoreError};
use chronolith_net::stored::StoredFragment;
use chronolith_net::validator::ChainHandle;

use super::account::Account;
use super::event::{Listener, NodeEvent};

/// The most leases and consents of one owner.
const CONSENTS_MOST: usize = 1 << 16;
/// How far ahead a consent may count: blocks.
const CONSENT_BLOCKS: u64 = 2_000;

/// Takes fragments in.
#[derive(Clone)]
pub(super) struct Intake {
    pub(super) account: Account,
    pub(super) chain: ChainHandle,
    pub(super) network: NetworkHandle,
    pub(super) store: Arc<FragmentStore>,
    pub(super) tell: Listener,
    /// Held while a consent is made.
    pub(super) consenting: Arc<Mutex<()>>,
    /// Held to write while it is decided what is dropped, to read while something is taken in.
    pub(super) upkeep: Arc<RwLock<()>>,
    /// When fragments were handed over lately.
    pub(super) touched: Arc<Mutex<BTreeMap<(ContentId, u8), u64>>>,
}

/// A lease that somebody wants to make.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) owner: Address,
    pub(super) by: &'a Asker,
    pub(super) fragments: &'a Fragments,
    pub(super) price: Amount,
    pub(super) until_epoch: u64,
    pub(super) valid_until: u64,
}

/// What the ledger says of a pack and of this peer.
struct Facts {
    chain: ChainId,
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
    validator: &Validator,
    account: Address,
    owner: Address,
    packs: &[ContentId],
) -> Result<Facts, StateError> {
    let state = Overlay::new(validator.state());
    let rows = packs.iter().map(|pack| state.get(&PackKey { pack: *pack, owner }));
    Ok(Facts {
        chain: validator.chain(),
        height: validator.blocks().tip().height,
        peer: state.get(&PeerKey { peer: account })?,
        packs: rows.collect::<Result<_, _>>()?,
    })
}

impl Intake {
    fn facts(&self, owner: Address, packs: Vec<ContentId>) -> Result<Facts, String> {
        let account = self.account.address;
        let looked = self.chain.look(move |validator| facts(validator, account, owner, &packs));
        let looked = looked.ok_or("the node is beginning or ending")?;
        looked.map_err(|error| error.to_string())
    }

    /// Takes a fragment in, or says why not.
    pub(super) fn keep(&self, owner: Address, by: &Asker, header: &[u8], fragment: &[u8]) -> Reply {
        match self.try_keep(owner, by, header, fragment) {
            Ok(()) => Reply::Kept,
            Err(reason) => Reply::refused(&reason),
        }
    }

    fn try_keep(
        &self,
        owner: Address,
        by: &Asker,
        header: &[u8],
        fragment: &[u8],
    ) -> Result<(), String> {
        let header = PackHeader::from_bytes(header).map_err(|error| error.to_string())?;
        let stored = StoredFragment::from_bytes(fragment).map_err(|error| error.to_string())?;
        let (pack, index) = (header.content_id(), stored.fragment.index);
        if stored.pack != pack {
            return Err(format!("the fragment is of pack {}, the header of {pack}", stored.pack));
        }
        let facts = self.facts(owner, vec![pack])?;
        let placed = facts.placed(owner, pack)?;
        let named = [Fragment { pack, index }];
        self.ensure_asked(&facts, owner, by, &named, 0)?;
        ensure_placed(&header, placed)?;
        let peer = open_peer(facts.peer.as_ref())?;
        let bytes = u64::from(placed.blocks) * BLOCK_BYTES;
        ensure_price(peer, bytes, placed.price)?;
        if peer.capacity_bytes.saturating_sub(peer.leased_bytes) < bytes {
            return Err("no room is left of what this peer offers".to_owned());
        }
        // Upkeep does not take away what comes again.
        let _kept_up = self.upkeep.read().unwrap_or_else(PoisonError::into_inner);
        self.touch(named, facts.height);
        let kept = self.store.keep(owner, facts.height, &header, &stored);
        match kept.map_err(|error| self.own_fault("keeping a fragment", &error))? {
            Keeping::Already => {}
            Keeping::New | Keeping::Shared => (self.tell)(NodeEvent::Kept { owner, pack, index }),
        }
        Ok(())
    }

    /// Remembers that a fragment was handed over at a height, although it was here before.
    fn touch(&self, [fragment]: [Fragment; 1], height: u64) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert((fragment.pack, fragment.index), height);
    }

    /// Whether a fragment was handed over at or after a height; what was before is forgotten.
    pub(super) fn touched_since(&self, height: u64) -> BTreeSet<(ContentId, u8)> {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.retain(|_, at| *at >= height);
        touched.keys().copied().collect()
    }

    /// What is told of an error of this machine: nothing of it to others, all to whoever runs it.
    fn own_fault(&self, what: &'static str, error: &StoreError) -> String {
        match error {
            StoreError::Quota { .. }
            | StoreError::Refused { .. }
            | StoreError::OtherPack { .. } => error.to_string(),
            _ => {
                (self.tell)(NodeEvent::Failed { what, reason: error.to_string() });
                "this peer cannot do it now".to_owned()
            }
        }
    }

    /// Refuses what neither the owner nor somebody who may repair the packs asks.
    fn ensure_asked(
        &self,
        facts: &Facts,
        owner: Address,
        by: &Asker,
        fragments: &[Fragment],
        valid_until: u64,
    ) -> Result<(), String> {
        let (chain, peer) = (facts.chain, self.account.address);
        let may_repair = |pack: &Option<Pack>| {
            pack.as_ref().is_some_and(|pack| pack.repairers.iter().any(|one| one.0 == by.account))
        };
        let may_ask = by.account == owner || facts.packs.iter().all(may_repair);
        let asked = Asked { chain, peer, owner, fragments, valid_until };
        match may_ask && by.asks(&asked) {
            true => Ok(()),
            false => Err(format!("{owner}, or who may repair the packs, did not sign this")),
        }
    }

    /// The fragments as leaves of the tree that audits draw from. Each is read and checked.
    fn assigned(&self, fragments: &Fragments) -> Result<Vec<AssignedFragment>, String> {
        let assigned = fragments.iter().map(|fragment| {
            let Fragment { pack, index } = *fragment;
            let found = self.store.assigned(pack, index);
            let found = found.map_err(|error| self.own_fault("reading a fragment", &error))?;
            found.ok_or_else(|| format!("fragment {index} of pack {pack} is not here"))
        });
        assigned.collect()
    }

    /// Consents to a lease of fragments that are here, or says why not.
    pub(super) fn consent(&self, wanted: &Wanted<'_>) -> Reply {
        match self.try_consent(wanted) {
            Ok(lease) => Reply::Consent(lease),
            Err(reason) => Reply::refused(&reason),
        }
    }

    fn try_consent(&self, wanted: &Wanted<'_>) -> Result<NewLease, String> {
        let Wanted { owner, by, fragments, price, until_epoch, valid_until } = *wanted;
        let mut packs: Vec<ContentId> = fragments.iter().map(|fragment| fragment.pack).collect();
        packs.dedup();
        let facts = self.facts(owner, packs.clone())?;
        self.ensure_asked(&facts, owner, by, fragments, valid_until)?;
        let (least, most) = (facts.height, facts.height.saturating_add(CONSENT_BLOCKS));
        if valid_until <= least || valid_until > most {
            return Err(format!(
                "a consent counts up to a height above {least} and up to {most}, not {valid_until}"
            ));
        }
        let peer = open_peer(facts.peer.as_ref())?;
        let mut blocks = 0_u64;
        for fragment in fragments.iter() {
            let at = packs.iter().position(|pack| *pack == fragment.pack);
            let placed = at.and_then(|at| facts.packs.get(at)).and_then(Option::as_ref);
            let missing = || format!("{owner} has not placed {}", fragment.pack);
            blocks = blocks.saturating_add(placed.ok_or_else(missing)?.blocks.into());
        }
        ensure_price(peer, blocks.saturating_mul(BLOCK_BYTES), price)?;
        // One at a time: each reads all that it is about.
        let _alone = self.consenting.lock().unwrap_or_else(PoisonError::into_inner);
        let _kept_up = self.upkeep.read().unwrap_or_else(PoisonError::into_inner);
        let records = self.store.records();
        let before = records.consent(owner, fragments_hash(fragments));
        let before = before.map_err(|error| self.own_fault("reading a consent", &error))?;
        let unused = records.consents().into_iter().filter(|(of, _)| *of == owner).count();
        if before.is_none() && unused >= CONSENTS_MOST {
            return Err(format!("{owner} has {unused} leases and consents here, which is enough"));
        }
        let assigned = match &before {
            Some(consent) => consent.fragments.to_vec(),
            None => self.assigned(fragments)?,
        };
        let root = batch_root(&assigned).map_err(|error| error.to_string())?;
        let root = root.ok_or("a lease has at least one fragment")?.hash;
        // What was consented to is on disk before anybody can hold the peer to it.
        let assigned = List::new(assigned).map_err(|error| error.to_string())?;
        // One that was given before may still be used, as long as it counts.
        let kept_until = before.map_or(valid_until, |before| before.valid_until.max(valid_until));
        let consent = Consent { owner, fragments: assigned, valid_until: kept_until };
        let recorded = records.put_consent(&consent);
        recorded.map_err(|error| self.own_fault("recording a consent", &error))?;
        let terms = LeaseTerms { root, price, until_epoch, valid_until };
        let message = NewLease::consent(facts.chain, owner, fragments, &terms);
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
        put.map_err(|error| self.own_fault("keeping a secret", &error))
    }
}

/// What a pack is announced by: the multihash of its content id.
pub(super) fn key_of(pack: &ContentId) -> Vec<u8> {
    lookup_key(pack.digest())
}

fn ensure_placed(header: &PackHeader, placed: &Pack) -> Result<(), String> {
    let shape = header.shape;
    let is_it = placed.fragments_root == Hash(header.fragments_root)
        && (placed.needed, placed.fragments) == (shape.needed(), shape.fragments())
        && placed.blocks == shape.blocks()
        && placed.mask == Hash(header.mask);
    match is_it {
        true => Ok(()),
        false => {
            Err("the pack is placed with another root, shape or mask than its header has".into())
        }
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
