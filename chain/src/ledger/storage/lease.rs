//! Leases: a batch of fragments that a peer keeps until an epoch, for a price.

use borsh::{BorshDeserialize, BorshSerialize};

use super::slots::{empty_slot, fill_slot};
use super::{BLOCK_BYTES, Peak, Peer, PeerKey};
use crate::address::Address;
use crate::coin::Amount;
use crate::content::ContentId;
use crate::encoding::{Keyed, Rising};
use crate::hash::{ChainId, Domain, Hash, LeaseId};
use crate::keys::{Signature, verify};
use crate::ledger::agenda::Task;
use crate::ledger::anchors::{Pack, PackKey};
use crate::ledger::call::{Halt, Ledger, ensure, ensure_within};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::tables::tables;
use crate::state::{Overlay, StateError, View};

tables! {
    /// A lease, by the peer that keeps it.
    0x42 LeaseKey { peer: Address, lease: LeaseId } => Lease;
    /// A consent that a lease was made by, with the last height at which it counts: until then it is
    /// remembered, so that it makes no other.
    0x47 UsedConsentKey { peer: Address, consent: [u8; 32] } => u64;
}

/// A batch of fragments that a peer keeps.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Who pays.
    pub owner: Address,
    /// The hash of its fragments.
    pub fragments: Hash,
    /// The root of the sum tree over their blocks.
    pub root: Hash,
    /// The peer's slot that it is in, while it runs.
    pub slot: Option<u32>,
    /// How many bytes they have.
    pub bytes: u64,
    /// What the peer gets for an epoch, all fragments together.
    pub price: Amount,
    /// The first epoch that is not settled yet.
    pub next_epoch: u64,
    /// The first epoch in which they need not be kept any more.
    pub until_epoch: u64,
    /// What is left to pay: price × (until − next).
    pub escrow: Amount,
    /// Whether they are kept.
    pub status: LeaseStatus,
}

/// Whether a lease's fragments are kept.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub enum LeaseStatus {
    /// As far as audits tell.
    Running,
    /// The peer missed too many audits; they wait for another peer.
    Lost,
}

/// A fragment of a pack.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// The pack.
    pub pack: ContentId,
    /// Which of its fragments.
    pub index: u8,
}

impl Keyed for Fragment {
    type Key = (ContentId, u8);

    fn key(&self) -> (ContentId, u8) {
        (self.pack, self.index)
    }
}

/// The fragments of a lease: at most 256, strictly rising.
pub type Fragments = Rising<Fragment, 256>;

/// A lease that is to be made, with the peer's consent to it.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct NewLease {
    /// The peer that will keep the fragments.
    pub peer: Address,
    /// The root of the sum tree over the blocks of these fragments.
    pub root: Hash,
    /// The last height at which the peer's consent counts.
    pub valid_until: u64,
    /// The peer's signature of [`NewLease::consent`].
    pub consent: Signature,
}

/// What a peer consents to, beside who pays for which fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LeaseTerms {
    /// The root of the sum tree over the blocks of the fragments.
    pub root: Hash,
    /// What it gets for an epoch, all fragments together.
    pub price: Amount,
    /// The first epoch in which they need not be kept any more.
    pub until_epoch: u64,
    /// The last height at which the consent counts; it counts once.
    pub valid_until: u64,
}

impl NewLease {
    /// What the peer signs.
    #[must_use]
    pub fn consent(
        chain: ChainId,
        owner: Address,
        fragments: &Fragments,
        terms: &LeaseTerms,
    ) -> Hash {
        Domain::Lease.hash_of(&(chain, owner, fragments_hash(fragments), terms))
    }

    /// Refuses where the peer did not consent to this lease, did so for another one already, or cannot
    /// take that much.
    fn check(
        &self,
        ledger: &mut Ledger<'_>,
        fragments: &Fragments,
        lease: &Lease,
    ) -> Result<(), Halt> {
        let (until, bytes) = (self.valid_until, lease.bytes);
        ensure(ledger.height <= until, Refusal::Late { until: until.saturating_add(1) })?;
        let longest = ledger.parameters.count(ParameterName::ValidLongest);
        ensure_within(until, ledger.height, ledger.height.saturating_add(longest))?;
        let terms = LeaseTerms {
            root: self.root,
            price: lease.price,
            until_epoch: lease.until_epoch,
            valid_until: until,
        };
        let message = Self::consent(ledger.chain, lease.owner, fragments, &terms);
        ensure(verify(&self.peer.key(), &message, &self.consent), Refusal::Consent(Thing::Lease))?;
        let used = UsedConsentKey { peer: self.peer, consent: message.0 };
        ensure(ledger.get(&used)?.is_none(), Refusal::Exists(Thing::Lease))?;
        ledger.put(&used, &until);
        let forget = Task::ForgetConsent { peer: self.peer, consent: message };
        ledger.schedule(until.saturating_add(1), forget)?;
        let peer = ledger.find(&PeerKey { peer: self.peer }, Thing::Peer)?;
        let is_open = peer.closing_since.is_none() && !peer.is_losing;
        ensure(is_open, Refusal::Status(Thing::Peer))?;
        let least = ledger.parameters.amount(ParameterName::StorageBond);
        ensure_within(peer.bond.0, least.0, u128::MAX)?;
        let free = peer.capacity_bytes.saturating_sub(peer.leased_bytes);
        ensure(bytes <= free, Refusal::Limit { limit: free })
    }

    /// Makes the lease, whose escrow was taken from wherever it was, and puts it into a slot.
    pub(super) fn make(
        &self,
        ledger: &mut Ledger<'_>,
        id: LeaseId,
        fragments: &Fragments,
        lease: Lease,
    ) -> Result<(), Halt> {
        self.check(ledger, fragments, &lease)?;
        let key = PeerKey { peer: self.peer };
        let mut peer = ledger.find(&key, Thing::Peer)?;
        peer.leased_bytes = peer.leased_bytes.saturating_add(lease.bytes);
        peer.leases = peer.leases.saturating_add(1);
        let leaf = Peak { hash: self.root, blocks: lease.bytes / BLOCK_BYTES };
        let slot = Some(fill_slot(ledger, self.peer, &mut peer, leaf)?);
        ledger.put(&key, &peer);
        let lease = Lease { root: self.root, slot, ..lease };
        ledger.put(&LeaseKey { peer: self.peer, lease: id }, &lease);
        Ok(())
    }
}

/// The hash by which a lease remembers its fragments.
#[must_use]
pub fn fragments_hash(fragments: &Fragments) -> Hash {
    Domain::LeaseEntries.hash_of(fragments)
}

/// The lease of a peer, if its fragments are these.
pub(super) fn find_lease(
    ledger: &Ledger<'_>,
    key: &LeaseKey,
    fragments: &Fragments,
) -> Result<Lease, Halt> {
    let lease = ledger.find(key, Thing::Lease)?;
    ensure(lease.fragments == fragments_hash(fragments), Refusal::Entries)?;
    Ok(lease)
}

/// Calls `each` with every pack of an owner that fragments are of, and which they are.
pub(super) fn for_each_pack(
    ledger: &mut Ledger<'_>,
    owner: Address,
    fragments: &Fragments,
    mut each: impl FnMut(&mut Ledger<'_>, &mut Pack, &[Fragment]) -> Result<(), Halt>,
) -> Result<(), Halt> {
    for of_pack in fragments.chunk_by(|a, b| a.pack == b.pack) {
        let Some(first) = of_pack.first() else { continue };
        let key = PackKey { pack: first.pack, owner };
        let mut pack = ledger.find(&key, Thing::Pack)?;
        each(ledger, &mut pack, of_pack)?;
        ledger.put(&key, &pack);
    }
    Ok(())
}

/// Takes a lease from its peer, and gives what is set aside for the epochs to come to a lease of
/// another: what is not settled yet stays.
pub(super) fn move_lease(
    ledger: &mut Ledger<'_>,
    key: LeaseKey,
    mut old: Lease,
    fragments: &Fragments,
    new: &NewLease,
    id: LeaseId,
) -> Result<(), Halt> {
    let first = ledger.epoch().saturating_add(1).max(old.next_epoch);
    let until = ledger.epoch_end(old.until_epoch);
    ensure(first < old.until_epoch, Refusal::Late { until })?;
    ensure(new.peer != key.peer, Refusal::NoChange)?;
    let escrow = old.price.times(old.until_epoch - first)?;
    let lease = Lease { next_epoch: first, escrow, status: LeaseStatus::Running, ..old };
    old.escrow = old.escrow.minus(escrow)?;
    old.until_epoch = first;
    if old.next_epoch >= old.until_epoch {
        end_lease(ledger, key, &old)?;
    } else {
        ledger.put(&key, &old);
    }
    new.make(ledger, id, fragments, lease)
}

/// Removes a lease that is over.
pub(super) fn end_lease(ledger: &mut Ledger<'_>, key: LeaseKey, lease: &Lease) -> Result<(), Halt> {
    ledger.remove(&key);
    ledger.pay(lease.owner, crate::coin::Coin::Native, lease.escrow)?;
    let key = PeerKey { peer: key.peer };
    let mut peer = ledger.find(&key, Thing::Peer)?;
    peer.leases = peer.leases.saturating_sub(1);
    let_go(ledger, key.peer, &mut peer, lease)?;
    ledger.put(&key, &peer);
    Ok(())
}

/// Loses a lease that runs: its peer has to show it no more, and another may take it. Both rows are the
/// caller's to put.
pub(super) fn lose_lease(
    ledger: &mut Ledger<'_>,
    address: Address,
    peer: &mut Peer,
    lease: &mut Lease,
) -> Result<(), Halt> {
    let_go(ledger, address, peer, lease)?;
    (lease.status, lease.slot) = (LeaseStatus::Lost, None);
    Ok(())
}

/// Gives a peer back the room and the slot of a lease, if it still has them.
fn let_go(
    ledger: &mut Ledger<'_>,
    address: Address,
    peer: &mut Peer,
    lease: &Lease,
) -> Result<(), Halt> {
    let Some(slot) = lease.slot else { return Ok(()) };
    peer.leased_bytes = peer.leased_bytes.saturating_sub(lease.bytes);
    empty_slot(ledger, address, peer, slot)
}

/// The leases of a peer from an id on, at most `limit`, with their slots and roots: how a peer knows what
/// it has to keep, and where in its tree that is.
///
/// # Errors
/// Where the state cannot be read.
pub fn leases_of(
    state: &dyn View,
    peer: Address,
    from: LeaseId,
    limit: usize,
) -> Result<Vec<(LeaseId, Lease)>, StateError> {
    let found = Overlay::new(state).scan_from(&LeaseKey { peer, lease: from }, limit)?;
    let own = found.into_iter().take_while(|(key, _)| key.peer == peer);
    Ok(own.map(|(key, lease)| (key.lease, lease)).collect())
}
