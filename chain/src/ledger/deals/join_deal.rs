//! Joining a deal.

use borsh::{BorshDeserialize, BorshSerialize};

use super::deal::{DealKey, DealStatus};
use super::open_deal::join;
use crate::hash::DealId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Joins a deal as it was opened, and sets the sender's part aside. With the last one the first step begins.
///
/// - The sender is a party that has not joined, and the time for joining is not over.
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
pub struct JoinDeal {
    /// The deal.
    pub deal: DealId,
}

impl Rules for JoinDeal {
    fn weight(&self) -> u64 {
        2
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let deal = ledger.find(&DealKey { deal: self.deal }, Thing::Deal)?;
        deal.party(call.sender)?;
        ensure(deal.status == DealStatus::Joining, Refusal::Status(Thing::Deal))?;
        let until = deal.plan.join_until.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        join(ledger, self.deal, deal, call)
    }
}
