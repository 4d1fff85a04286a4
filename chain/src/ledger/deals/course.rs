//! The course of a deal: where steps lead, and how it is paid out.

use super::deal::{
    Advanced, Deal, DealKey, DealStatus, DealStepKey, Next, Party, SHARES_MOST, Share, Verdict,
};
use crate::address::Address;
use crate::coin::BasisPoints;
use crate::content::ContentId;
use crate::encoding::List;
use crate::hash::DealId;
use crate::ledger::agenda::Task;
use crate::ledger::call::{Halt, Ledger, ensure, ensure_within};
use crate::ledger::refusal::{Refusal, Thing};

/// Refuses shares that are not, for each part that something was set aside of, the whole.
pub(super) fn ensure_shares(
    parties: &[Party],
    shares: &List<Share, SHARES_MOST>,
) -> Result<(), Halt> {
    let most = parties.len().saturating_sub(1);
    for share in shares.iter() {
        ensure_within(share.of, 0_u8, most as u128)?;
        ensure_within(share.to, 0_u8, most as u128)?;
        ensure_within(share.share.0, 1_u16, BasisPoints::WHOLE.0)?;
    }
    for (number, party) in parties.iter().enumerate() {
        let of_it = shares.iter().filter(|share| usize::from(share.of) == number);
        let sum: u32 = of_it.map(|share| u32::from(share.share.0)).sum();
        let whole = if party.amount.is_zero() { 0 } else { u32::from(BasisPoints::WHOLE.0) };
        ensure_within(sum, whole, whole)?;
    }
    Ok(())
}

/// Brings a deal to where a step leads.
pub(super) fn follow(
    ledger: &mut Ledger<'_>,
    id: DealId,
    mut deal: Deal,
    from: Option<u8>,
    next: Next,
) -> Result<(), Halt> {
    match next {
        Next::Step(step) => {
            let found = deal.plan.steps.get(usize::from(step));
            let blocks = found.ok_or(Halt::Refused(Refusal::Missing(Thing::Step)))?.blocks;
            let until = ledger.height.saturating_add(blocks.into());
            deal.status = DealStatus::AtStep { step, until };
            ledger.put(&DealKey { deal: id }, &deal);
            ledger.schedule(until.saturating_add(1), Task::EndStep { deal: id, step })
        }
        Next::Arbiter { blocks, otherwise } => {
            let until = ledger.height.saturating_add(blocks.into());
            let step = from.unwrap_or_default();
            deal.status = DealStatus::Disputed { step, until, otherwise };
            ledger.put(&DealKey { deal: id }, &deal);
            ledger.schedule(until.saturating_add(1), Task::EndArbitration(id))
        }
        Next::Outcome(number) => {
            let found = deal.plan.outcomes.get(usize::from(number));
            let shares = found.ok_or(Halt::Refused(Refusal::Missing(Thing::Step)))?.shares.clone();
            pay_out(ledger, id, deal, &shares, DealStatus::Closed { outcome: number })
        }
    }
}

/// Pays everything out, and closes the deal.
pub(super) fn pay_out(
    ledger: &mut Ledger<'_>,
    id: DealId,
    mut deal: Deal,
    shares: &List<Share, SHARES_MOST>,
    status: DealStatus,
) -> Result<(), Halt> {
    let parties = deal.plan.parties.iter().zip(deal.escrows.iter()).enumerate();
    for (number, (party, escrow)) in parties {
        let of_it: Vec<&Share> =
            shares.iter().filter(|share| usize::from(share.of) == number).collect();
        let mut left = *escrow;
        // Backwards, so that the first one gets what rounding leaves.
        for (place, share) in of_it.iter().enumerate().rev() {
            let part = if place == 0 { left } else { escrow.basis_points(share.share)? };
            left = left.minus(part)?;
            let to = deal.plan.parties.get(usize::from(share.to));
            let to = to.ok_or(Halt::Refused(Refusal::Missing(Thing::Deal)))?.account;
            ledger.pay(to, party.coin, part)?;
        }
        ensure(left.is_zero(), Refusal::Status(Thing::Deal))?;
    }
    close(ledger, id, &mut deal, status);
    Ok(())
}

/// Gives everything back to who set it aside.
fn give_back(ledger: &mut Ledger<'_>, id: DealId, mut deal: Deal) -> Result<(), Halt> {
    for (party, escrow) in deal.plan.parties.iter().zip(deal.escrows.iter()) {
        ledger.pay(party.account, party.coin, *escrow)?;
    }
    close(ledger, id, &mut deal, DealStatus::Void);
    Ok(())
}

fn close(ledger: &mut Ledger<'_>, id: DealId, deal: &mut Deal, status: DealStatus) {
    deal.escrows = List::default();
    deal.status = status;
    ledger.put(&DealKey { deal: id }, deal);
}

/// Writes down what ended a step.
pub(super) fn record(
    ledger: &mut Ledger<'_>,
    deal: DealId,
    step: u8,
    by: Option<Address>,
    verdict: Verdict,
    evidence: Option<ContentId>,
) {
    let advanced = Advanced { height: ledger.height, by, verdict, evidence };
    ledger.put(&DealStepKey { deal, step }, &advanced);
}

/// Voids a deal that not all joined in time.
pub(in crate::ledger) fn end_joining(ledger: &mut Ledger<'_>, id: DealId) -> Result<(), Halt> {
    let Some(deal) = ledger.get(&DealKey { deal: id })? else { return Ok(()) };
    let is_due = deal.status == DealStatus::Joining && ledger.height > deal.plan.join_until;
    if is_due { give_back(ledger, id, deal) } else { Ok(()) }
}

/// Goes on where nobody said anything of a step in time.
pub(in crate::ledger) fn end_step(
    ledger: &mut Ledger<'_>,
    id: DealId,
    step: u8,
) -> Result<(), Halt> {
    let Some(deal) = ledger.get(&DealKey { deal: id })? else { return Ok(()) };
    match deal.status {
        DealStatus::AtStep { step: found, until } if found == step && ledger.height > until => {
            let next = deal.plan.steps.get(usize::from(step)).map(|step| step.on_timeout);
            let next = next.ok_or(Halt::Refused(Refusal::Missing(Thing::Step)))?;
            record(ledger, id, step, None, Verdict::TimedOut, None);
            follow(ledger, id, deal, Some(step), next)
        }
        _ => Ok(()),
    }
}

/// Ends a dispute that the arbiter did not decide in time.
pub(in crate::ledger) fn end_arbitration(ledger: &mut Ledger<'_>, id: DealId) -> Result<(), Halt> {
    let Some(deal) = ledger.get(&DealKey { deal: id })? else { return Ok(()) };
    match deal.status {
        DealStatus::Disputed { step, until, otherwise } if ledger.height > until => {
            follow(ledger, id, deal, Some(step), Next::Outcome(otherwise))
        }
        _ => Ok(()),
    }
}
