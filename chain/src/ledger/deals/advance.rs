//! Saying that a step is done, or objecting.

use borsh::{BorshDeserialize, BorshSerialize};

use super::course::{follow, record};
use super::deal::{DealKey, DealStatus, Verdict};
use crate::content::ContentId;
use crate::hash::DealId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Says that a step of a deal is done, or objects to it; the deal goes on where the step says.
///
/// - The deal is at this step, and the step's blocks are not over.
/// - The sender is a party that the step lets say this.
/// - The ledger keeps who said it, at which height, and the content id of what shows it.
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
pub struct Advance {
    /// The deal.
    pub deal: DealId,
    /// The number of the step.
    pub step: u8,
    /// Whether the sender objects, instead of saying that it is done.
    pub objects: bool,
    /// The content id of what shows it.
    pub evidence: Option<ContentId>,
}

impl Rules for Advance {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let deal = ledger.find(&DealKey { deal: self.deal }, Thing::Deal)?;
        let party = deal.party(call.sender)?;
        let DealStatus::AtStep { step: expected, until } = deal.status else {
            return Err(Refusal::Status(Thing::Deal).into());
        };
        ensure(self.step == expected, Refusal::Order { expected, found: self.step })?;
        let until = until.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        let step = deal.plan.steps.get(usize::from(self.step)).copied();
        let step = step.ok_or(Halt::Refused(Refusal::Missing(Thing::Step)))?;
        let (may, next, verdict) = if self.objects {
            (step.objected_by, step.on_objection, Verdict::Objected)
        } else {
            (step.done_by, step.on_done, Verdict::Done)
        };
        ensure(may.has(party), Refusal::NotAllowed(Thing::Step))?;
        record(ledger, self.deal, self.step, Some(call.sender), verdict, self.evidence);
        follow(ledger, self.deal, deal, Some(self.step), next)
    }
}
