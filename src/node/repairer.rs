//! Repair: rebuilding what a peer lost and giving it to another, for packs whose owners named this node
//! and entrusted it with their secrets. The owner may be away for years.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, JoinHandle};

use chronolith_chain::address::Address;
use chronolith_chain::consensus::StoreError;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Hash, LeaseId};
use chronolith_chain::ledger::{
    BeaconKey, Fragments, Lease, LeaseKey, LeaseStatus, Pack, PackKey, Parameters, Peer, Repair,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::MaskSecret;
use chronolith_net::dispersal::{Handed, Offer, Recipient, hand_over};
use chronolith_net::fetch::{FetchSettings, PackFetch, Source, fetch_pack, wait_for};
use chronolith_net::placement::{Candidate, Request, place};
use chronolith_net::stored::StoredFragment;

use super::auditor::parameters;
use super::event::NodeEvent;
use super::intake::Intake;
use super::lease_lists::LeaseLists;
use super::placing::peers;

/// How often it is looked for what is lost: blocks.
const LOOK_BLOCKS: u64 = 5;
/// How many leases are read at once.
const PAGE: usize = 4_096;
/// For how many blocks a new peer's consent is to count.
const CONSENT_BLOCKS: u64 = 500;
/// How long a repair is waited for to be in a block: blocks.
const COMMIT_BLOCKS: u64 = 20;
/// For how many blocks a lease is left alone whose repair failed; twice as many after each failure.
const PAUSE_BLOCKS: u64 = 10;
/// How many blocks are read in one go for the lists of leases.
const LEARN_BLOCKS: u64 = 256;

/// Rebuilds what peers lost.
pub(super) struct Repairer {
    at: Intake,
    lists: LeaseLists,
    looked: u64,
    job: Option<Job>,
    handed_in: Option<HandedIn>,
    /// Leases whose repair failed: how often, until when they are left alone, and who refused.
    failed: BTreeMap<(Address, LeaseId), Failures>,
}

#[derive(Default)]
struct Failures {
    count: u32,
    until: u64,
    refused: BTreeSet<Address>,
}

/// A repair that goes on, on a thread of its own.
struct Job {
    of: LeaseKey,
    thread: JoinHandle<Result<HandedIn, RepairFailed>>,
}

/// A repair that is on its way into a block.
struct HandedIn {
    of: LeaseKey,
    new: LeaseKey,
    fragments: usize,
    at: u64,
}

/// Why a lease was not repaired, and which peer refused it.
struct RepairFailed {
    reason: String,
    refused: Option<Address>,
}

impl From<String> for RepairFailed {
    fn from(reason: String) -> Self {
        Self { reason, refused: None }
    }
}

/// A lost lease that this node is to repair.
struct Loss {
    key: LeaseKey,
    lease: Lease,
    fragments: Fragments,
    packs: BTreeMap<ContentId, Pack>,
    secrets: BTreeMap<ContentId, MaskSecret>,
    /// The peers that keep other fragments of these packs, whom fragments are asked of.
    holders: BTreeSet<Address>,
    /// Who is not asked any more.
    refused: BTreeSet<Address>,
    ledger: Ground,
}

/// What the ledger says that a repair needs.
#[derive(Clone)]
struct Ground {
    peers: Vec<(Address, Peer)>,
    parameters: Parameters,
    chain: ChainId,
    height: u64,
    beacon: Option<Hash>,
}

impl Repairer {
    pub(super) fn new(at: Intake, lists: LeaseLists) -> Self {
        let failed = BTreeMap::new();
        Self { at, lists, looked: 0, job: None, handed_in: None, failed }
    }

    fn failed(&self, what: &'static str, reason: &dyn std::fmt::Display) {
        (self.at.tell)(NodeEvent::Failed { what, reason: reason.to_string() });
    }

    /// Does what is due after a block.
    pub(super) fn height(&mut self, height: u64) {
        if let Err(reason) = self.learn(height) {
            // The next block is read after this one.
            return self.failed("reading which leases there are", &reason);
        }
        self.see_job(height);
        self.see_handed_in(height);
        let is_early = height < self.looked.saturating_add(LOOK_BLOCKS);
        if self.job.is_some() || self.handed_in.is_some() || is_early {
            return;
        }
        self.looked = height;
        match self.look(height) {
            Ok(None) => {}
            Ok(Some(loss)) => self.begin(loss),
            Err(reason) => self.failed("looking for lost leases", &reason),
        }
    }

    /// Reads the blocks that were not read yet, each by itself.
    fn learn(&mut self, height: u64) -> Result<(), String> {
        let oldest = self.at.chain.look(|validator| validator.blocks().oldest());
        let first = self.lists.learnt().saturating_add(1).max(oldest.unwrap_or(height));
        for next in first..=height.min(first.saturating_add(LEARN_BLOCKS)) {
            let read = self.at.chain.look(move |validator| {
                let blocks = validator.blocks();
                Ok::<_, StoreError>(blocks.block(next)?.zip(blocks.receipts(next)?))
            });
            let Some(read) = read else { return Ok(()) };
            let Some((decided, receipts)) = read.map_err(|error| error.to_string())? else {
                continue;
            };
            let (transactions, own) = (&decided.block.transactions, self.at.account.address);
            let learnt = self.lists.learn(next, transactions, &receipts, own);
            learnt.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn begin(&mut self, loss: Loss) {
        let (at, of) = (self.at.clone(), loss.key);
        let thread =
            thread::Builder::new().name("repair".to_owned()).spawn(move || repair(&at, &loss));
        match thread {
            Ok(thread) => self.job = Some(Job { of, thread }),
            Err(error) => self.failed("starting a repair", &error),
        }
    }

    /// Takes in how a repair went.
    fn see_job(&mut self, height: u64) {
        let Some(Job { of, thread }) = self.job.take_if(|job| job.thread.is_finished()) else {
            return;
        };
        // A panic was printed.
        let Ok(outcome) = thread.join() else { return self.leave_alone(of, height, None) };
        match outcome {
            Ok(handed_in) => self.handed_in = Some(handed_in),
            Err(RepairFailed { reason, refused }) => {
                self.failed("repairing a lease", &reason);
                self.leave_alone(of, height, refused);
            }
        }
    }

    /// Looks whether a repair is in a block.
    fn see_handed_in(&mut self, height: u64) {
        let Some(HandedIn { of, new, fragments, at }) = self.handed_in.take() else { return };
        let looked = self.at.chain.look(move |validator| {
            Overlay::new(validator.state()).get(&new).map(|lease| lease.is_some())
        });
        match looked {
            Some(Ok(true)) => {
                self.failed.remove(&name(&of));
                let (from, to) = (of.peer, new.peer);
                (self.at.tell)(NodeEvent::Repaired { from, to, fragments });
            }
            _ if height < at.saturating_add(COMMIT_BLOCKS) => {
                self.handed_in = Some(HandedIn { of, new, fragments, at });
            }
            _ => {
                self.failed("repairing a lease", &"the ledger did not take it");
                self.leave_alone(of, height, Some(new.peer));
            }
        }
    }

    fn leave_alone(&mut self, of: LeaseKey, height: u64, refused: Option<Address>) {
        let failures = self.failed.entry(name(&of)).or_default();
        failures.until = height.saturating_add(PAUSE_BLOCKS << failures.count.min(10));
        failures.count += 1;
        failures.refused.extend(refused);
    }

    /// The first lost lease that this node can repair, whose turn it is and that did not just fail.
    fn look(&mut self, height: u64) -> Result<Option<Loss>, String> {
        let Some(ground) = self.ground(height)? else { return Ok(None) };
        let epoch = ground.parameters.epoch(height);
        let (mut lost, mut known) = (Vec::new(), BTreeSet::new());
        let mut holders = BTreeMap::<ContentId, BTreeSet<Address>>::new();
        let mut from = LeaseKey { peer: Address([0; 32]), lease: LeaseId([0; 32]) };
        loop {
            // A page at a time, so that consensus does not wait for all; lists are read here.
            let page = self
                .at
                .chain
                .look(move |validator| Overlay::new(validator.state()).scan_from(&from, PAGE));
            let Some(page) = page else { return Ok(None) };
            let page: Vec<(LeaseKey, Lease)> = page.map_err(|error| error.to_string())?;
            let last = page.last().map(|(key, _)| *key).filter(|_| page.len() == PAGE);
            for (key, lease) in page.into_iter().filter(|(key, _)| last != Some(*key)) {
                let list = self.lists.list(&lease.fragments).map_err(|error| error.to_string())?;
                let Some(list) = list else { continue };
                known.insert(lease.fragments);
                if lease.status == LeaseStatus::Running {
                    for fragment in list.iter() {
                        holders.entry(fragment.pack).or_default().insert(key.peer);
                    }
                    continue;
                }
                // One that was moved stays until its last epochs are settled.
                let is_over = lease.until_epoch <= epoch.saturating_add(1);
                let is_paused =
                    self.failed.get(&name(&key)).is_some_and(|failures| height < failures.until);
                if !is_over && !is_paused {
                    lost.push((key, lease, list));
                }
            }
            match last {
                Some(last) => from = last,
                None => break,
            }
        }
        self.forget(&known)?;
        self.failed.retain(|key, failures| {
            lost.iter().any(|(lost, ..)| name(lost) == *key) || height < failures.until
        });
        for (key, lease, fragments) in lost {
            if let Some(loss) = self.loss(&ground, &holders, key, lease, fragments, epoch)? {
                return Ok(Some(loss));
            }
        }
        Ok(None)
    }

    fn ground(&self, height: u64) -> Result<Option<Ground>, String> {
        let looked = self.at.chain.look(move |validator| {
            let state = Overlay::new(validator.state());
            let parameters = parameters(validator.state())?;
            let beacon = match parameters.epoch(height).checked_sub(1) {
                Some(epoch) => state.get(&BeaconKey { epoch })?,
                None => None,
            };
            let (peers, chain) = (peers(&state)?, validator.chain());
            Ok::<_, StateError>(Ground { peers, parameters, chain, height, beacon })
        });
        looked.transpose().map_err(|error| error.to_string())
    }

    /// A lost lease as this node can repair it: all its packs are placed, name the node, have coin left
    /// for it, and their secrets are here. Each of several repairers has every so many epochs, so that
    /// they do not do the same work at once.
    fn loss(
        &self,
        ground: &Ground,
        holders: &BTreeMap<ContentId, BTreeSet<Address>>,
        key: LeaseKey,
        lease: Lease,
        fragments: Fragments,
        epoch: u64,
    ) -> Result<Option<Loss>, String> {
        let (mut packs, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for of_pack in fragments.chunk_by(|a, b| a.pack == b.pack) {
            let Some(pack) = of_pack.first().map(|fragment| fragment.pack) else { continue };
            let named = PackKey { pack, owner: lease.owner };
            let looked =
                self.at.chain.look(move |validator| Overlay::new(validator.state()).get(&named));
            let placed = looked.transpose().map_err(|error| error.to_string())?.flatten();
            let Some(placed) = placed else { return Ok(None) };
            let own = self.at.account.address;
            let turn = placed.repairers.iter().position(|named| named.0 == own);
            let is_turn = turn.is_some_and(|turn| {
                epoch.checked_rem(placed.repairers.len() as u64) == Some(turn as u64)
            });
            let fee = placed.repair_fee.times(of_pack.len() as u64);
            let is_paid = fee.is_ok_and(|fee| fee <= placed.repair_escrow);
            let secret = self.at.store.records().secret(lease.owner, pack);
            let Some(secret) = secret.map_err(|error| error.to_string())? else { return Ok(None) };
            if !is_turn || !is_paid {
                return Ok(None);
            }
            packs.insert(pack, placed);
            secrets.insert(pack, secret);
        }
        let of_pack = |pack: &ContentId| holders.get(pack).cloned().unwrap_or_default();
        let holders = packs.keys().flat_map(of_pack).collect();
        let refused = self.failed.get(&name(&key)).map(|failures| failures.refused.clone());
        let (refused, ledger) = (refused.unwrap_or_default(), ground.clone());
        Ok(Some(Loss { key, lease, fragments, packs, secrets, holders, refused, ledger }))
    }

    /// Forgets lists of leases that are over, and packs and secrets that are placed no more.
    fn forget(&mut self, known: &BTreeSet<Hash>) -> Result<(), String> {
        let records = self.at.store.records();
        for (owner, pack) in records.secrets() {
            let key = PackKey { pack, owner };
            let looked = self.at.chain.look(move |validator| {
                Overlay::new(validator.state()).get(&key).map(|placed| placed.is_some())
            });
            if let Some(Ok(false)) = looked {
                let removed = records.remove_secret(owner, pack);
                removed.map_err(|error| error.to_string())?;
            }
        }
        let packs = self.lists.packs().clone();
        let looked = self.at.chain.look(move |validator| {
            let state = Overlay::new(validator.state());
            let mut placed = BTreeSet::new();
            for pack in packs {
                if !state.scan::<PackKey>(pack.as_bytes(), 1)?.is_empty() {
                    placed.insert(pack);
                }
            }
            Ok::<_, StateError>(placed)
        });
        let Some(placed) = looked else { return Ok(()) };
        let placed = placed.map_err(|error| error.to_string())?;
        self.lists.prune(known, &placed).map_err(|error| error.to_string())
    }
}

const fn name(key: &LeaseKey) -> (Address, LeaseId) {
    (key.peer, key.lease)
}

/// Rebuilds the fragments of a lost lease, has a new peer take them, and hands in the repair.
fn repair(at: &Intake, loss: &Loss) -> Result<HandedIn, RepairFailed> {
    let to = new_peer(at, loss)?;
    let sources: Vec<Source> = loss
        .ledger
        .peers
        .iter()
        .filter(|(address, _)| loss.holders.contains(address))
        .filter_map(|(address, peer)| Recipient::of(*address, &peer.address).ok())
        .map(|recipient| recipient.known.into())
        .collect();
    let mut handed = Vec::new();
    for (pack, secret) in &loss.secrets {
        rebuild(at, loss, *pack, secret, &sources, &mut handed)?;
    }
    let key = at.account.key();
    let offer = Offer {
        chain: loss.ledger.chain,
        owner: loss.lease.owner,
        asker: &key,
        price: loss.lease.price,
        until_epoch: loss.lease.until_epoch,
        valid_until: loss.ledger.height.saturating_add(CONSENT_BLOCKS),
    };
    let leased = futures::executor::block_on(hand_over(&at.network, &offer, &to, &handed));
    let (fragments, lease) = leased.map_err(|error| RepairFailed {
        reason: format!("{}: {error}", to.account),
        refused: Some(to.account),
    })?;
    let count = fragments.len();
    let LeaseKey { peer, lease: id } = loss.key;
    let action = Repair { peer, lease: id, fragments, to: lease };
    let transaction = at.account.hand_in(&at.chain, action, 0)?;
    let new = LeaseKey { peer: to.account, lease: LeaseId::made_by(transaction) };
    Ok(HandedIn { of: loss.key, new, fragments: count, at: loss.ledger.height })
}

/// Fetches a pack and encodes it again: the fragments that were lost, bit for bit.
fn rebuild(
    at: &Intake,
    loss: &Loss,
    pack: ContentId,
    secret: &MaskSecret,
    sources: &[Source],
    handed: &mut Vec<Handed>,
) -> Result<(), String> {
    let fetch = PackFetch {
        pack,
        sources: sources.to_vec(),
        settings: FetchSettings::default(),
        folder: None,
    };
    let fetched = wait_for(fetch_pack(&at.network, fetch, |_| {}));
    let fetched = fetched.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let (whole, fragments) =
        fetched.collector.rebuild(secret).map_err(|error| error.to_string())?;
    let header = whole.header();
    let is_lost =
        |index: u8| loss.fragments.iter().any(|lost| (lost.pack, lost.index) == (pack, index));
    for fragment in fragments.into_iter().filter(|fragment| is_lost(fragment.index)) {
        let fragment = StoredFragment { pack, shape: header.shape, fragment };
        handed.push(Handed { header: header.clone(), fragment });
    }
    Ok(())
}

/// Draws who gets the rebuilt fragments: nobody who has others of the same packs, nor anybody who knows
/// their masks, nor who refused.
fn new_peer(at: &Intake, loss: &Loss) -> Result<Recipient, String> {
    let Ground { peers, parameters, chain, beacon, .. } = &loss.ledger;
    let (pack, placed) = loss.packs.first_key_value().ok_or("a lease without fragments")?;
    let beacon = beacon.ok_or("the beacon of the last epoch is not kept")?;
    let mut request = Request::of(*chain, *pack, placed, beacon);
    (request.fragments, request.spare) = (1, 1);
    request.fragment_bytes = loss.lease.bytes;
    request.price = loss.lease.price;
    request.excluded.extend(&loss.holders);
    request.excluded.extend(&loss.refused);
    request.excluded.extend([loss.key.peer, at.account.address]);
    for other in loss.packs.values() {
        request.excluded.extend(other.repairers.iter().map(|repairer| repairer.0));
    }
    let candidate = |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, parameters);
    let candidates: Vec<Candidate> = peers.iter().filter_map(candidate).collect();
    let chosen = place(&candidates, &request).map_err(|error| error.to_string())?;
    let peer = chosen.first().ok_or("nobody has room")?;
    let row = peers.iter().find(|(address, _)| address == peer);
    let (account, row) = row.ok_or("nobody has room")?;
    Recipient::of(*account, &row.address).map_err(|error| error.to_string())
}
