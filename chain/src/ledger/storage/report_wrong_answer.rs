//! Showing that a storage peer lied in an audit.

use borsh::{BorshDeserialize, BorshSerialize};

use super::answer::{Answer, Question};
use super::lease::lose_lease;
use super::{LeaseKey, LeaseStatus, PeerKey};
use crate::address::Address;
use crate::coin::Coin;
use crate::hash::LeaseId;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// How many leases of a peer that lied are lost in a block.
const LEASES_PER_BLOCK: usize = 64;

/// Shows that a storage peer lied: an answer to an audit that it signed, and that is wrong.
///
/// - The answer is about the epoch before the running one, in which the peer had something to show.
/// - The peer signed it for this epoch and what the ledger drew; so nobody else can make it a liar.
/// - It has another number of samples than was asked for, or one that does not lead to what the peer was
///   assigned at the end of the epoch. (Silence is no lie.)
/// - Nobody showed it for this peer and epoch before.
/// - The peer loses `wrong_answer_slash` of its bond. Of that the sender gets `reporter_share`; the rest
///   is burnt.
/// - All leases of the peer are lost, 64 in this block and in each that follows, and can be repaired.
///   Meanwhile it takes no others, and afterwards only with a bond of at least `storage_bond`.
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
pub struct ReportWrongAnswer {
    /// The answer.
    pub answer: Answer,
}

impl Rules for ReportWrongAnswer {
    fn weight(&self) -> u64 {
        32 + self.answer.samples.len() as u64
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let Answer { epoch, peer: address, .. } = self.answer;
        let from = ledger.epoch_end(epoch.saturating_add(1));
        ensure(ledger.height >= from, Refusal::Early { from })?;
        let until = ledger.epoch_end(epoch.saturating_add(2));
        ensure(ledger.height < until, Refusal::Late { until })?;
        let key = PeerKey { peer: address };
        let mut peer = ledger.find(&key, Thing::Peer)?;
        ensure(peer.lied_epoch != Some(epoch), Refusal::Exists(Thing::Evidence))?;
        let question = Question::under(&ledger.state, ledger.chain, epoch, address)?;
        let question = question.ok_or(Refusal::Missing(Thing::Audit))?;
        match self.answer.check(&question) {
            Ok(()) => return Err(Refusal::Honest.into()),
            Err(fault) => ensure(fault.is_lie(), Refusal::Unsigned)?,
        }
        let share = ledger.parameters.share(ParameterName::WrongAnswerSlash);
        let part = peer.bond.basis_points(share)?;
        let share = ledger.parameters.share(ParameterName::ReporterShare);
        let reward = part.basis_points(share)?;
        peer.bond = peer.bond.minus(part)?;
        peer.lied_epoch = Some(epoch);
        let was_losing = std::mem::replace(&mut peer.is_losing, true);
        ledger.put(&key, &peer);
        ledger.pay(call.sender, Coin::Native, reward)?;
        ledger.burn(part.minus(reward)?)?;
        if was_losing {
            // It took no lease since: what is under way loses all.
            return Ok(());
        }
        let from = LeaseId::default();
        ledger.schedule(ledger.height, Task::LoseLeases { peer: address, from })
    }
}

/// Loses the next leases of a peer that lied, and has the others lost after the next block.
pub(crate) fn lose_leases(
    ledger: &mut Ledger<'_>,
    address: Address,
    from: LeaseId,
) -> Result<(), Halt> {
    let key = PeerKey { peer: address };
    let Some(mut peer) = ledger.get(&key)? else { return Ok(()) };
    let from = LeaseKey { peer: address, lease: from };
    let mut leases = ledger.state.scan_from(&from, LEASES_PER_BLOCK + 1)?;
    leases.retain(|(key, _)| key.peer == address);
    for (key, lease) in leases.iter_mut().take(LEASES_PER_BLOCK) {
        if lease.status == LeaseStatus::Running {
            lose_lease(ledger, address, &mut peer, lease)?;
            ledger.put(key, lease);
        }
    }
    let next = leases.get(LEASES_PER_BLOCK).map(|(key, _)| key.lease);
    peer.is_losing = next.is_some();
    ledger.put(&key, &peer);
    let Some(from) = next else { return Ok(()) };
    ledger.schedule(ledger.height.saturating_add(1), Task::LoseLeases { peer: address, from })
}
