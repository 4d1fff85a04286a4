//! Deciding a disputed deal.

use borsh::{BorshDeserialize, BorshSerialize};

use super::course::{ensure_shares, pay_out};
use super::deal::{DealKey, DealStatus, DealVerdictKey, Decided, SHARES_MOST, Share};
use crate::content::ContentId;
use crate::encoding::List;
use crate::hash::DealId;
use crate::ledger::action::Rules;
use crate::ledger::call::{Call, Halt, Ledger, ensure};
use crate::ledger::refusal::{Refusal, Thing};

/// Decides a disputed deal: everything is paid out as the arbiter says.
///
/// - The sender is the deal's arbiter, the deal is disputed, and his blocks are not over.
/// - The shares are of parties, for parties, and pay out all that is set aside; as in an outcome. An arbiter
///   who is to be paid is a party of the deal.
/// - The ledger keeps the content id of his reasons beside it.
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
pub struct Arbitrate {
    /// The deal.
    pub deal: DealId,
    /// Who gets what.
    pub shares: List<Share, SHARES_MOST>,
    /// The content id of his reasons.
    pub reasons: Option<ContentId>,
}

impl Rules for Arbitrate {
    fn weight(&self) -> u64 {
        3
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        let deal = ledger.find(&DealKey { deal: self.deal }, Thing::Deal)?;
        ensure(deal.plan.arbiter == Some(call.sender), Refusal::NotAllowed(Thing::Deal))?;
        let DealStatus::Disputed { until, .. } = deal.status else {
            return Err(Refusal::Status(Thing::Deal).into());
        };
        let until = until.saturating_add(1);
        ensure(ledger.height < until, Refusal::Late { until })?;
        ensure_shares(&deal.plan.parties, &self.shares)?;
        let (height, shares, reasons) = (ledger.height, self.shares.clone(), self.reasons);
        ledger.put(&DealVerdictKey { deal: self.deal }, &Decided { height, shares, reasons });
        pay_out(ledger, self.deal, deal, &self.shares, DealStatus::Arbitrated)
    }
}
