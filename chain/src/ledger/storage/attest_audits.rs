//! Attesting which peers passed their audits.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Attestation, AttestationKey, SettlementKey, attested_until};
use crate::encoding::Bytes;
use crate::hash::Hash;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};
use crate::ledger::validators::SeatsKey;

/// Attests which storage peers passed the audits of an epoch.
///
/// - The sender is a validator of the running term; his power counts as it is now.
/// - The epoch is over, for less than `audit_blocks` blocks, and not settled yet.
/// - Once for each epoch and validator.
/// - The bitmap has a bit for each peer's number, the lowest bit first, and no zero byte at its end.
/// - A peer passes when more than a third of the power says so. Where a third of the power or less
///   attested anything, nobody missed: the epoch is not paid and not counted.
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
pub struct AttestAudits {
    /// The epoch.
    pub epoch: u64,
    /// The peers that passed.
    pub passed: Bytes<8192>,
    /// The root over the answers that were checked.
    pub answers: Hash,
}

impl Rules for AttestAudits {
    fn weight(&self) -> u64 {
        2 + self.passed.len() as u64 / 512
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let seats = ledger.get_or_default(&SeatsKey {})?;
        let seat = seats.iter().find(|seat| seat.validator == call.sender);
        let power = seat.ok_or(Refusal::NotAllowed(Thing::Attestation))?.power;
        let from = ledger.epoch_end(self.epoch.saturating_add(1));
        ensure(ledger.height >= from, Refusal::Early { from })?;
        let until = attested_until(ledger, self.epoch);
        let settled = ledger.get_or_default(&SettlementKey {})?.epoch;
        ensure(ledger.height < until && self.epoch >= settled, Refusal::Late { until })?;
        ensure(self.passed.last() != Some(&0), Refusal::Range)?;
        let key = AttestationKey { epoch: self.epoch, validator: call.sender };
        ensure(ledger.get(&key)?.is_none(), Refusal::Exists(Thing::Attestation))?;
        let attestation = Attestation { passed: self.passed.clone(), answers: self.answers, power };
        ledger.put(&key, &attestation);
        Ok(())
    }
}
