//! The storage role after each block: answering audits, and dropping what nobody leases any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{AssignedFragment, BLOCK_BYTES, Fragment, Lease, LeaseKey, Peak};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_net::audit::{Answer, Assigned, Question};
use chronolith_net::network::Topic;
use chronolith_net::store::{Consent, KeptFragment};

use super::auditor::{audited, parameters};
use super::event::NodeEvent;
use super::intake::{Intake, key_of};

/// How often an answer is said again, while it may still be attested: blocks.
const AGAIN_BLOCKS: u64 = 4;
/// How often some of what is kept is checked: blocks.
const SCRUB_BLOCKS: u64 = 16;
/// How much of it: bytes. With a block a second, a TiB takes three days.
const SCRUB_BYTES: u64 = 64 << 20;
/// For how many epochs a fragment may lie here without a lease.
const UNLEASED_EPOCHS: u64 = 2;

/// Keeps fragments for others.
pub(super) struct Keeper {
    at: Intake,
    /// What was said to the last audit.
    said: Option<Said>,
    /// The epoch whose upkeep was done.
    kept_up: Option<u64>,
    /// Up to which fragment all was checked lately.
    scrubbed: Option<Fragment>,
    /// The packs that others are told of.
    announced: BTreeSet<ContentId>,
}

/// What was said to the audit of an epoch: nothing, where that is better.
struct Said {
    epoch: u64,
    answer: Option<Vec<u8>>,
    at: u64,
}

/// An audit, with the leases that it is about.
struct Audit {
    question: Question,
    leases: Vec<(LeaseKey, Lease)>,
}

impl Keeper {
    pub(super) fn new(at: Intake) -> Self {
        let announced = BTreeSet::new();
        Self { at, said: None, kept_up: None, scrubbed: None, announced }
    }

    fn failed(&self, what: &'static str, reason: impl ToString) {
        (self.at.tell)(NodeEvent::Failed { what, reason: reason.to_string() });
    }

    /// Does what is due after a block; an answer that is said for the first time.
    pub(super) fn height(&mut self, height: u64) -> Option<Vec<u8>> {
        let looked = self.at.chain.look(move |validator| {
            let parameters = parameters(validator.state())?;
            Ok::<_, StateError>((
                audited(&parameters, height),
                parameters.epoch(height),
                parameters,
            ))
        });
        let (asked, epoch, parameters) = match looked? {
            Ok(looked) => looked,
            Err(error) => {
                self.failed("reading the parameters", error);
                return None;
            }
        };
        let first = asked.and_then(|asked| self.answer(asked, height));
        if self.kept_up != Some(epoch) {
            self.kept_up = Some(epoch);
            let unleased = parameters.epoch_end(epoch.saturating_sub(UNLEASED_EPOCHS));
            if let Err(reason) = self.upkeep(height, unleased) {
                self.failed("dropping what is not leased", reason);
            }
        }
        if height.is_multiple_of(SCRUB_BLOCKS) {
            self.scrub();
        }
        first
    }

    /// Checks some of what is kept; all of it, round and round.
    fn scrub(&mut self) {
        let scrubbed = self.at.store.scrub(self.scrubbed, SCRUB_BYTES);
        self.scrubbed = scrubbed.next;
        for (_, error) in scrubbed.unreadable {
            self.failed("checking what is kept", error);
        }
        for damage in self.at.store.take_damaged() {
            (self.at.tell)(NodeEvent::Damaged { damage: damage.to_string() });
        }
    }

    /// Answers the audit of an epoch, once; then says the answer again now and then, since gossip may
    /// be lost.
    fn answer(&mut self, epoch: u64, height: u64) -> Option<Vec<u8>> {
        if let Some(said) = self.said.as_mut().filter(|said| said.epoch == epoch) {
            if let Some(answer) = said.answer.as_ref()
                && height >= said.at.saturating_add(AGAIN_BLOCKS)
            {
                said.at = height;
                self.at.network.publish(Topic::Audits, answer.clone());
            }
            return None;
        }
        let account = self.at.account.address;
        let looked = self.at.chain.look(move |validator| {
            let state = validator.state();
            let Some(question) = Question::of(state, validator.chain(), epoch, account)? else {
                return Ok(None);
            };
            let end = parameters(state)?.epoch_end(epoch.saturating_add(1)).saturating_sub(1);
            let leases = leases(&state.at(end)?, account)?;
            Ok::<_, StateError>(Some(Audit { question, leases }))
        });
        let answer = match looked? {
            Ok(None) => None,
            Ok(Some(audit)) => match self.show(&audit) {
                Ok(answer) => Some(answer),
                Err(reason) => {
                    (self.at.tell)(NodeEvent::Abstained { epoch, reason });
                    None
                }
            },
            Err(error) => {
                let reason = error.to_string();
                (self.at.tell)(NodeEvent::Abstained { epoch, reason });
                None
            }
        };
        if let Some(answer) = &answer {
            self.at.network.publish(Topic::Audits, answer.clone());
        }
        self.said = Some(Said { epoch, answer: answer.clone(), at: height });
        answer
    }

    /// The answer to an audit, or why there had better be none.
    fn show(&self, audit: &Audit) -> Result<Vec<u8>, String> {
        let mut all = Assigned::new();
        let mut by_slot = BTreeMap::new();
        for (key, lease) in &audit.leases {
            let Some(slot) = lease.slot else { continue };
            let blocks = lease.bytes / BLOCK_BYTES;
            let root = Peak { hash: lease.root, blocks };
            all.set_root(slot, root).map_err(|error| error.to_string())?;
            by_slot.insert(slot, (key, lease));
        }
        // Of very many leases only those are read that the audit is about.
        for number in &audit.question.blocks {
            let slot = all.slot_of(*number).map_err(|error| error.to_string())?;
            let Some((key, lease)) = by_slot.remove(&slot) else { continue };
            let consent = self.consent(lease)?;
            let consent =
                consent.ok_or_else(|| format!("the list of lease {} is lost", key.lease))?;
            all.set(slot, consent.fragments.to_vec()).map_err(|error| error.to_string())?;
        }
        let mut fault = None;
        let block = |fragment: &AssignedFragment, row| {
            let fragment = fragment.fragment;
            let sample = self.at.store.sample(fragment.pack, fragment.index, row);
            sample.map_err(|error| fault = Some(error)).ok().flatten()
        };
        let answer = Answer::make(&audit.question, &all, &self.at.account.key(), block);
        let answer = answer.map_err(|error| match fault {
            Some(fault) => fault.to_string(),
            None => error.to_string(),
        })?;
        let (epoch, samples) = (answer.epoch, answer.samples.len());
        (self.at.tell)(NodeEvent::Answered { epoch, samples });
        Ok(answer.to_bytes())
    }

    /// This node's consent to a lease.
    fn consent(&self, lease: &Lease) -> Result<Option<Consent>, String> {
        let consent = self.at.store.records().consent(lease.owner, lease.fragments);
        consent.map_err(|error| error.to_string())
    }

    /// Drops the fragments that are in no lease, nor in a consent that may become one, and came before
    /// a height; says which packs are here.
    fn upkeep(&mut self, height: u64, came_before: u64) -> Result<(), String> {
        // Nothing is taken in meanwhile.
        let at = self.at.clone();
        let _alone = at.upkeep.write().unwrap_or_else(PoisonError::into_inner);
        let account = at.account.address;
        let looked =
            at.chain.look(move |validator| leases(&Overlay::new(validator.state()), account));
        let Some(leases) = looked else { return Ok(()) };
        // Lost leases are not paid for, and their fragments are for others to rebuild.
        let leases = leases.map_err(|error| error.to_string())?.into_iter();
        let leases: BTreeSet<(Address, Hash)> = leases
            .filter(|(_, lease)| lease.slot.is_some())
            .map(|(_, lease)| (lease.owner, lease.fragments))
            .collect();
        let records = at.store.records();
        let (mut leased, mut unknown) = (at.touched_since(came_before), BTreeSet::new());
        for (owner, hash) in records.consents() {
            let is_lease = leases.contains(&(owner, hash));
            match records.consent(owner, hash) {
                Ok(None) => {}
                Ok(Some(consent)) if is_lease || consent.valid_until >= height => {
                    let fragments = consent.fragments.iter().map(|assigned| assigned.fragment);
                    leased.extend(fragments.map(|fragment| (fragment.pack, fragment.index)));
                }
                // Whatever a damaged consent of a lease was to is kept.
                Err(error) if is_lease => {
                    self.failed("reading a consent to a lease", error);
                    unknown.insert(owner);
                }
                Ok(Some(_)) | Err(_) => {
                    let removed = records.remove_consent(owner, hash);
                    removed.map_err(|error| error.to_string())?;
                }
            }
        }
        let (mut packs, mut dropped) = (BTreeSet::new(), 0);
        for KeptFragment { fragment, owner, height, .. } in at.store.kept() {
            let Fragment { pack, index } = fragment;
            let is_kept = leased.contains(&(pack, index)) || unknown.contains(&owner);
            if is_kept || height >= came_before {
                packs.insert(pack);
                continue;
            }
            let removed = at.store.remove(owner, pack, index);
            removed.map_err(|error| error.to_string())?;
            dropped += 1;
        }
        self.announce(packs);
        if dropped > 0 {
            (at.tell)(NodeEvent::Dropped { fragments: dropped });
        }
        Ok(())
    }

    /// Says which packs are here, and no longer which were and are not.
    fn announce(&mut self, packs: BTreeSet<ContentId>) {
        for pack in packs.difference(&self.announced) {
            self.at.network.announce(key_of(pack));
        }
        for pack in self.announced.difference(&packs) {
            self.at.network.retract(key_of(pack));
        }
        self.announced = packs;
    }
}

/// The leases of a peer.
pub(super) fn leases(
    state: &Overlay<'_>,
    peer: Address,
) -> Result<Vec<(LeaseKey, Lease)>, StateError> {
    let mut all = Vec::new();
    state.each(&peer.0, |key: LeaseKey, lease| {
        all.push((key, lease));
        Ok::<_, StateError>(())
    })?;
    Ok(all)
}
