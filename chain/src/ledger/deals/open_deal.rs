//! Proposing a deal.

use borsh::{BorshDeserialize, BorshSerialize};

use super::course::{ensure_shares, follow};
use super::deal::{Deal, DealKey, DealStatus, Next, Parties, Plan, Step};
use crate::coin::Amount;
use crate::encoding::List;
use crate::hash::DealId;
use crate::ledger::action::Rules;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Call, Halt, Ledger, ensure, ensure_within};
use crate::ledger::coin::ensure_coin;
use crate::ledger::parameters::ParameterName;
use crate::ledger::refusal::{Refusal, Thing};

/// Opens a deal and sets the sender's part aside; its id follows from the transaction's. The others join it
/// as it is: nothing of it can be changed any more.
///
/// - One to 8 parties, each account once, of whom the sender is one; what each sets aside is in a coin that
///   exists, and may be nothing.
/// - The others join up to the height `join_until`, which is in the future, by at most `deadline_longest`
///   blocks. When it passes before all have, everything goes back. A deal of one begins at once.
/// - One to 32 steps, each with at least one block and at most `deadline_longest`. Each leads to a later step,
///   to an outcome, or to the arbiter, who must be named then, and to an outcome where he says nothing.
///   Who can object is none of those who can say that it is done.
/// - One to 16 outcomes, each of which pays out all that is set aside.
/// - Every step can be reached from the first.
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
pub struct OpenDeal {
    /// What is agreed.
    pub plan: Plan,
}

impl Rules for OpenDeal {
    fn weight(&self) -> u64 {
        2 + (self.plan.parties.len() + self.plan.steps.len() + self.plan.outcomes.len()) as u64 / 4
    }

    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        self.ensure_parties(ledger)?;
        self.ensure_steps(ledger)?;
        let parties = &self.plan.parties;
        for outcome in self.plan.outcomes.iter() {
            ensure_shares(parties, &outcome.shares)?;
        }
        let latest =
            ledger.height.saturating_add(ledger.parameters.count(ParameterName::DeadlineLongest));
        ensure_within(self.plan.join_until, ledger.height.saturating_add(1), latest)?;
        let escrows = List::new(vec![Amount::ZERO; parties.len()]).unwrap_or_default();
        let deal = Deal {
            plan: self.plan.clone(),
            escrows,
            joined: Parties::default(),
            status: DealStatus::Joining,
        };
        let id = DealId::made_by(call.transaction);
        ledger.schedule(self.plan.join_until.saturating_add(1), Task::EndJoining(id))?;
        join(ledger, id, deal, call)
    }
}

/// Takes what a party sets aside, and begins with the first step when all have.
pub(super) fn join(
    ledger: &mut Ledger<'_>,
    id: DealId,
    mut deal: Deal,
    call: &Call,
) -> Result<(), Halt> {
    let number = deal.party(call.sender)?;
    ensure(!deal.joined.has(number), Refusal::Exists(Thing::Deal))?;
    let mut escrows = deal.escrows.to_vec();
    if let (Some(party), Some(escrow)) = (deal.plan.parties.get(number), escrows.get_mut(number)) {
        ledger.take(call.sender, party.coin, party.amount)?;
        *escrow = party.amount;
    }
    deal.escrows = List::new(escrows).unwrap_or_default();
    deal.joined = deal.joined.with(number);
    if deal.joined == Parties::first(deal.plan.parties.len()) {
        return follow(ledger, id, deal, None, Next::Step(0));
    }
    ledger.put(&DealKey { deal: id }, &deal);
    Ok(())
}

impl OpenDeal {
    fn ensure_parties(&self, ledger: &Ledger<'_>) -> Result<(), Halt> {
        let Plan { parties, steps, outcomes, .. } = &self.plan;
        ensure(!parties.is_empty() && !steps.is_empty() && !outcomes.is_empty(), Refusal::Zero)?;
        for (number, party) in parties.iter().enumerate() {
            ensure_coin(ledger, party.coin)?;
            let is_new = parties.iter().take(number).all(|other| other.account != party.account);
            ensure(is_new, Refusal::Exists(Thing::Deal))?;
        }
        Ok(())
    }

    fn ensure_steps(&self, ledger: &Ledger<'_>) -> Result<(), Halt> {
        let longest = ledger.parameters.count(ParameterName::DeadlineLongest);
        let all = Parties::first(self.plan.parties.len());
        let mut is_reached = vec![false; self.plan.steps.len()];
        if let Some(first) = is_reached.first_mut() {
            *first = true;
        }
        for (number, step) in self.plan.steps.iter().enumerate() {
            let Step { done_by, objected_by, blocks, on_done, on_timeout, on_objection } = *step;
            ensure(is_reached.get(number) == Some(&true), Refusal::Missing(Thing::Step))?;
            ensure_within(blocks, 1_u32, longest)?;
            let are_parties = done_by.is_within(all) && objected_by.is_within(all);
            let are_others = done_by.0 & objected_by.0 == 0;
            ensure(are_parties && are_others, Refusal::NotAllowed(Thing::Step))?;
            let objection = (objected_by != Parties::default()).then_some(on_objection);
            let done = (done_by != Parties::default()).then_some(on_done);
            for next in [Some(on_timeout), objection, done].into_iter().flatten() {
                if let Some(step) = self.ensure_next(number, next, longest)?
                    && let Some(reached) = is_reached.get_mut(step)
                {
                    *reached = true;
                }
            }
        }
        Ok(())
    }

    /// Refuses what a step may not lead to; the step that it leads to, if it is one.
    fn ensure_next(&self, from: usize, next: Next, longest: u64) -> Result<Option<usize>, Halt> {
        let last = |count: usize| count.saturating_sub(1) as u128;
        let outcomes = last(self.plan.outcomes.len());
        match next {
            Next::Step(step) => {
                let later = from.saturating_add(1) as u128;
                ensure_within(step, later, last(self.plan.steps.len()))?;
                Ok(Some(step.into()))
            }
            Next::Outcome(outcome) => {
                ensure_within(outcome, 0_u8, outcomes)?;
                Ok(None)
            }
            Next::Arbiter { blocks, otherwise } => {
                ensure(self.plan.arbiter.is_some(), Refusal::Missing(Thing::Arbiter))?;
                ensure_within(blocks, 1_u32, longest)?;
                ensure_within(otherwise, 0_u8, outcomes)?;
                Ok(None)
            }
        }
    }
}
