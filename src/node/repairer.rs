//! Repair: rebuilding what a peer lost and giving it to another, for packs whose owners named this node
//! and entrusted it with their secrets. The owner may be away for years.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, JoinHandle};

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::ChainId;
use chronolith_chain::ledger::{
    BeaconKey, Fragments, Lease, LeaseKey, LeaseStatus, Pack, PackKey, Parameters, Peer, Repair,
};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_fragment::MaskSecret;
use chronolith_net::dispersal::{Handed, Recipient, hand_over};
use chronolith_net::fetch::{FetchSettings, PackFetch, Source, fetch_pack, wait_for};
use chronolith_net::placement::{Candidate, Request, place};
use chronolith_net::stored::StoredFragment;

use super::auditor::parameters;
use super::event::NodeEvent;
use super::intake::Intake;
use super::placing::peers;

/// How often it is looked for what is lost: blocks.
const LOOK_BLOCKS: u64 = 5;
/// How many leases are read at once.
const PAGE: usize = 4_096;
/// For how many blocks a new peer's consent is to count.
const CONSENT_BLOCKS: u64 = 500;

/// Rebuilds what peers lost.
pub(super) struct Repairer {
    at: Intake,
    looked: u64,
    /// What was repaired last is on its way into a block until this height.
    patient_until: u64,
    job: Option<JoinHandle<Result<NodeEvent, String>>>,
}

/// A lost lease that this node is to repair.
struct Loss {
    key: LeaseKey,
    lease: Lease,
    fragments: Fragments,
    packs: BTreeMap<ContentId, Pack>,
    /// The peers that keep other fragments of these packs, whom fragments are asked of.
    holders: BTreeSet<Address>,
    peers: Vec<(Address, Peer)>,
    parameters: Parameters,
    chain: ChainId,
    height: u64,
    beacon: Option<chronolith_chain::hash::Hash>,
}

impl Repairer {
    pub(super) fn new(at: Intake) -> Self {
        Self { at, looked: 0, patient_until: 0, job: None }
    }

    /// Does what is due after a block. Rebuilding has a thread of its own, one at a time.
    pub(super) fn height(&mut self, height: u64) {
        if let Some(job) = self.job.take_if(|job| job.is_finished()) {
            match job.join() {
                Ok(Ok(event)) => (self.at.tell)(event),
                Ok(Err(reason)) => {
                    (self.at.tell)(NodeEvent::Failed { what: "repairing a lease", reason });
                }
                // It was printed.
                Err(_) => {}
            }
            self.patient_until = height.saturating_add(2 * LOOK_BLOCKS);
        }
        let is_early = height < self.looked.saturating_add(LOOK_BLOCKS);
        if self.job.is_some() || is_early || height < self.patient_until {
            return;
        }
        self.looked = height;
        if self.at.store.records().secrets().is_empty() {
            return;
        }
        match self.look(height) {
            Ok(None) => {}
            Ok(Some(loss)) => {
                let at = self.at.clone();
                let spawned = thread::Builder::new()
                    .name("repair".to_owned())
                    .spawn(move || repair(&at, loss));
                match spawned {
                    Ok(job) => self.job = Some(job),
                    Err(error) => self.failed(&error),
                }
            }
            Err(reason) => self.failed(&reason),
        }
    }

    fn failed(&self, reason: &dyn std::fmt::Display) {
        let (what, reason) = ("looking for lost leases", reason.to_string());
        (self.at.tell)(NodeEvent::Failed { what, reason });
    }

    /// The first lost lease whose packs all name this node, and whose turn it is.
    fn look(&self, height: u64) -> Result<Option<Loss>, String> {
        let at = self.at.clone();
        let looked = self.at.chain.look(move |validator| {
            let state = Overlay::new(validator.state());
            let parameters = parameters(validator.state())?;
            let epoch = parameters.epoch(height);
            let (mut loss, mut holders) = (None, BTreeMap::<ContentId, BTreeSet<Address>>::new());
            for_each_lease(&state, |key, lease| {
                // Lists are kept of those leases alone that have a pack this node has the secret of.
                let Ok(Some(fragments)) = at.lists.list(&lease.fragments) else { return Ok(()) };
                if lease.status == LeaseStatus::Running {
                    for fragment in fragments.iter() {
                        holders.entry(fragment.pack).or_default().insert(key.peer);
                    }
                    return Ok(());
                }
                // One that was moved stays until its last epochs are settled.
                let is_over = lease.until_epoch <= epoch.saturating_add(1);
                if loss.is_some() || is_over {
                    return Ok(());
                }
                let packs = named(&state, &fragments, lease.owner, at.account.address, epoch)?;
                loss = packs.map(|packs| (key, lease, fragments, packs));
                Ok(())
            })?;
            let Some((key, lease, fragments, packs)) = loss else { return Ok(None) };
            let of_pack = |pack: &ContentId| holders.get(pack).cloned().unwrap_or_default();
            let beacon = match epoch.checked_sub(1) {
                Some(epoch) => state.get(&BeaconKey { epoch })?,
                None => None,
            };
            Ok::<_, StateError>(Some(Loss {
                key,
                lease,
                fragments,
                holders: packs.keys().flat_map(of_pack).collect(),
                packs,
                peers: peers(&state)?,
                parameters,
                chain: validator.chain(),
                height,
                beacon,
            }))
        });
        looked.unwrap_or(Ok(None)).map_err(|error| error.to_string())
    }
}

/// Calls `each` with all leases.
fn for_each_lease(
    state: &Overlay<'_>,
    mut each: impl FnMut(LeaseKey, Lease) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut from =
        LeaseKey { peer: Address([0; 32]), lease: chronolith_chain::hash::LeaseId([0; 32]) };
    loop {
        let page = state.scan_from(&from, PAGE)?;
        let last = page.last().map(|(key, _)| *key).filter(|_| page.len() == PAGE);
        for (key, lease) in page {
            // The last of a page begins the next one.
            if last != Some(key) {
                each(key, lease)?;
            }
        }
        match last {
            Some(last) => from = last,
            None => return Ok(()),
        }
    }
}

/// The packs of fragments, where all name a repairer and it is his turn: each of several has every so
/// many epochs, so that they do not do the same work at once.
fn named(
    state: &Overlay<'_>,
    fragments: &Fragments,
    owner: Address,
    repairer: Address,
    epoch: u64,
) -> Result<Option<BTreeMap<ContentId, Pack>>, StateError> {
    let mut packs = BTreeMap::new();
    for pack in fragments.iter().map(|fragment| fragment.pack) {
        if packs.contains_key(&pack) {
            continue;
        }
        let Some(placed) = state.get(&PackKey { pack, owner })? else { return Ok(None) };
        let turn = placed.repairers.iter().position(|named| named.0 == repairer);
        let count = placed.repairers.len() as u64;
        if turn.is_none_or(|turn| epoch.checked_rem(count) != Some(turn as u64)) {
            return Ok(None);
        }
        packs.insert(pack, placed);
    }
    Ok(Some(packs))
}

/// Rebuilds the fragments of a lost lease, has a new peer take them, and hands in the repair.
fn repair(at: &Intake, loss: Loss) -> Result<NodeEvent, String> {
    let sources: Vec<Source> = loss
        .peers
        .iter()
        .filter(|(address, _)| loss.holders.contains(address))
        .filter_map(|(address, peer)| Recipient::of(*address, &peer.address).ok())
        .map(|recipient| recipient.known.into())
        .collect();
    let mut handed = Vec::new();
    for pack in loss.packs.keys() {
        let secret = at.store.records().secret(loss.lease.owner, *pack);
        let secret = secret.map_err(|error| error.to_string())?;
        let secret = secret.ok_or_else(|| format!("the secret of pack {pack} is not here"))?;
        rebuild(at, &loss, *pack, &secret, &sources, &mut handed)?;
    }
    let to = new_peer(at, &loss)?;
    let valid_until = loss.height.saturating_add(CONSENT_BLOCKS);
    let leased = hand_over(&at.network, loss.chain, loss.lease.owner, &to, &handed, valid_until);
    let (fragments, lease) =
        futures::executor::block_on(leased).map_err(|error| format!("{}: {error}", to.account))?;
    let count = fragments.len();
    let LeaseKey { peer, lease: id } = loss.key;
    let action = Repair { peer, lease: id, fragments, to: lease };
    at.account.hand_in(&at.chain, action)?;
    Ok(NodeEvent::Repaired { from: peer, to: to.account, fragments: count })
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
/// their masks.
fn new_peer(at: &Intake, loss: &Loss) -> Result<Recipient, String> {
    let (pack, placed) = loss.packs.first_key_value().ok_or("a lease without fragments")?;
    let beacon = loss.beacon.ok_or("the beacon of the last epoch is not kept")?;
    let mut request = Request::of(loss.chain, *pack, placed, beacon);
    (request.fragments, request.spare) = (1, 1);
    request.fragment_bytes = loss.lease.bytes;
    request.price = loss.lease.price;
    request.excluded.extend(&loss.holders);
    request.excluded.extend([loss.key.peer, at.account.address]);
    for other in loss.packs.values() {
        request.excluded.extend(other.repairers.iter().map(|repairer| repairer.0));
    }
    let candidate =
        |(address, peer): &(Address, Peer)| Candidate::of(*address, peer, &loss.parameters);
    let candidates: Vec<Candidate> = loss.peers.iter().filter_map(candidate).collect();
    let chosen = place(&candidates, &request).map_err(|error| error.to_string())?;
    let peer = chosen.first().ok_or("nobody has room")?;
    let row = loss.peers.iter().find(|(address, _)| address == peer);
    let (account, row) = row.ok_or("nobody has room")?;
    Recipient::of(*account, &row.address).map_err(|error| error.to_string())
}
