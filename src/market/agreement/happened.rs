//! What happened to a deal, by the names of its contract: who said what, which step began, how it ended.

use chronolith_chain::ledger::{DealStatus, Verdict};
use chronolith_contract::steps::{Forward, Lead};
use chronolith_contract::{BUYER, Compiled, EventKind};

use super::table::name_of;
use crate::market::deal::Found;

/// What an arbiter is called who is no party of the contract.
const ARBITER: &str = "arbiter";

/// Something that happened to a deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A party, or the arbiter, said something, or set the payment aside.
    Said(EventKind, String),
    /// A step began.
    Step(String),
    /// It ended as the contract has an end for.
    End(String),
}

impl Happened {
    /// The name that webhooks are called for.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Said(event, _) => event.name(),
            Self::Step(name) | Self::End(name) => name,
        }
    }
}

/// What happened to a deal, in its order; what came later is behind it. `forward` is its contract's, as the deal has
/// it.
#[must_use]
pub fn happened(compiled: &Compiled, forward: &Forward, found: &Found) -> Vec<Happened> {
    let (contract, plan) = (compiled.contract(), &found.deal.plan);
    let mut all = Vec::new();
    if matches!(found.deal.status, DealStatus::Joining | DealStatus::Void) {
        return all;
    }
    all.push(Happened::Said(EventKind::Paid, BUYER.to_owned()));
    all.extend(forward.rows.first().map(|row| Happened::Step(row.name.clone())));
    let mut silent = None;
    for (number, said) in &found.said {
        let Some(row) = forward.rows.get(usize::from(*number)) else { continue };
        let heard = match said.verdict {
            Verdict::Done => row.done.as_ref(),
            Verdict::Objected => row.objected.as_ref(),
            Verdict::TimedOut => None,
        };
        let by = name_of(contract, &plan.parties, said.by);
        let event = heard.and_then(|heard| heard.by.get(&by));
        all.extend(event.map(|event| Happened::Said(*event, by)));
        match heard.map_or(&row.late, |heard| &heard.to) {
            Lead::Row(next) => {
                all.extend(forward.rows.get(*next).map(|row| Happened::Step(row.name.clone())));
            }
            Lead::End(name) => all.push(Happened::End(name.clone())),
            Lead::Arbiter { otherwise, .. } => silent = Some(otherwise),
        }
    }
    match (&found.deal.status, silent) {
        (DealStatus::Arbitrated, _) => {
            let name = name_of(contract, &plan.parties, plan.arbiter);
            let by = if name.is_empty() { ARBITER.to_owned() } else { name };
            all.push(Happened::Said(EventKind::Ruled, by));
        }
        (DealStatus::Closed { .. }, Some(Some(end))) => all.push(Happened::End(end.clone())),
        _ => {}
    }
    all
}
