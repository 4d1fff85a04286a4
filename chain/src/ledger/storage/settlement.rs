//! Paying for what was kept: an epoch's leases, a few hundred in a block.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::lease::{end_lease, lose_lease};
use super::{
    Attestation, AttestationKey, Lease, LeaseKey, LeaseStatus, Peer, PeerKey, attested_until,
};
use crate::address::Address;
use crate::coin::Coin;
use crate::hash::LeaseId;
use crate::ledger::call::{Halt, Ledger};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::Thing;
use crate::ledger::tables::tables;
use crate::ledger::validators::{SeatsKey, faded};

/// How many leases are settled in a block.
const LEASES_PER_BLOCK: usize = 256;

tables! {
    /// How far the settlement of epochs is.
    0x44 SettlementKey {} => Settlement;
}

/// How far the settlement of epochs is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The epoch that is settled next, or now.
    pub epoch: u64,
    /// The lease that comes next, once it has begun.
    pub next: Option<(Address, LeaseId)>,
}

/// Settles the next leases of an epoch whose audits are all attested, if there is one.
pub(crate) fn settle_some(ledger: &mut Ledger<'_>) -> Result<(), Halt> {
    let mut settlement = ledger.get_or_default(&SettlementKey {})?;
    if ledger.height < attested_until(ledger, settlement.epoch) {
        return Ok(());
    }
    let attestations = ledger.state.scan::<AttestationKey>(&settlement.epoch.to_be_bytes(), 128)?;
    let seats = ledger.get_or_default(&SeatsKey {})?;
    let power: u128 = seats.iter().map(|seat| u128::from(seat.power)).sum();
    let (peer, lease) = settlement.next.unwrap_or_default();
    let leases = ledger.state.scan_from(&LeaseKey { peer, lease }, LEASES_PER_BLOCK + 1)?;
    let mut verdicts = BTreeMap::new();
    for (key, lease) in leases.iter().take(LEASES_PER_BLOCK) {
        let has_passed = match verdicts.get(&key.peer) {
            Some(verdict) => *verdict,
            None => {
                let peer = ledger.find(&PeerKey { peer: key.peer }, Thing::Peer)?;
                let verdict = passed(&attestations, power, &peer);
                if let Some(has_passed) = verdict {
                    count(ledger, key.peer, peer, settlement.epoch, has_passed);
                }
                verdicts.insert(key.peer, verdict);
                verdict
            }
        };
        settle(ledger, *key, *lease, settlement.epoch, has_passed)?;
    }
    settlement.next = leases.get(LEASES_PER_BLOCK).map(|(key, _)| (key.peer, key.lease));
    if settlement.next.is_none() {
        for (key, _) in attestations {
            ledger.remove(&key);
        }
        settlement.epoch += 1;
    }
    ledger.put(&SettlementKey {}, &settlement);
    Ok(())
}

/// Whether more than a third of the power says that a peer passed; none where so little power attested
/// anything that nobody could: that says nothing of the peers.
fn passed(
    attestations: &[(AttestationKey, Attestation)],
    power: u128,
    peer: &Peer,
) -> Option<bool> {
    let attested: u128 = attestations.iter().map(|(_, told)| u128::from(told.power)).sum();
    if attested * 3 <= power {
        return None;
    }
    let (byte, bit) = (peer.number as usize / 8, peer.number % 8);
    let for_it: u128 = attestations
        .iter()
        .filter(|(_, told)| told.passed.get(byte).is_some_and(|byte| byte >> bit & 1 == 1))
        .map(|(_, told)| u128::from(told.power))
        .sum();
    Some(for_it * 3 > power)
}

/// Counts a peer's audit of an epoch, once, if it was asked for anything.
fn count(ledger: &mut Ledger<'_>, address: Address, mut peer: Peer, of: u64, has_passed: bool) {
    let was_free = peer.assignment.at_end_of(of).is_some_and(|assigned| assigned.slots == 0);
    if was_free || peer.audited_epoch.is_some_and(|last| last >= of) {
        return;
    }
    let last = peer.audited_epoch.replace(of);
    let then = last.map_or(0, |last| ledger.epoch_end(last));
    let left = faded(u128::from(peer.audits_passed), then, ledger.epoch_end(of));
    peer.audits_passed = u64::try_from(left).unwrap_or(u64::MAX);
    if has_passed {
        peer.audits_passed = peer.audits_passed.saturating_add(1);
        peer.missed_in_a_row = 0;
    } else {
        peer.audits_missed = peer.audits_missed.saturating_add(1);
        peer.missed_in_a_row = peer.missed_in_a_row.saturating_add(1);
    }
    ledger.put(&PeerKey { peer: address }, &peer);
}

/// Settles one lease for one epoch.
fn settle(
    ledger: &mut Ledger<'_>,
    key: LeaseKey,
    mut lease: Lease,
    of: u64,
    has_passed: Option<bool>,
) -> Result<(), Halt> {
    if lease.next_epoch > of || lease.next_epoch >= lease.until_epoch {
        return Ok(());
    }
    lease.escrow = lease.escrow.minus(lease.price)?;
    lease.next_epoch += 1;
    let mut peer = ledger.find(&PeerKey { peer: key.peer }, Thing::Peer)?;
    if has_passed == Some(true) && lease.status == LeaseStatus::Running {
        let burnt = lease.price.basis_points(ledger.parameters.share(ParameterName::LeaseBurn))?;
        let paid = lease.price.minus(burnt)?;
        ledger.burn(burnt)?;
        ledger.pay(key.peer, Coin::Native, paid)?;
        peer.earned = peer.earned.plus(paid)?;
    } else {
        ledger.pay(lease.owner, Coin::Native, lease.price)?;
    }
    let most = ledger.parameters.count(ParameterName::AuditMisses);
    if lease.status == LeaseStatus::Running && peer.missed_in_a_row >= most {
        lose_lease(ledger, key.peer, &mut peer, &mut lease)?;
    }
    ledger.put(&PeerKey { peer: key.peer }, &peer);
    if lease.next_epoch >= lease.until_epoch {
        end_lease(ledger, key, &lease)
    } else {
        ledger.put(&key, &lease);
        Ok(())
    }
}
