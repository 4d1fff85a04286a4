//! Seeing what happens to what the account sells under contracts that have webhooks.
//!
//! What the ledger shows is compared with what the records have. Where a status does not show all that came
//! before it, or who ended a sale, the blocks do, as far back as the node keeps them and they are looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use chronolith_chain::hash::{Hash, OfferId};
use chronolith_chain::ledger::{
    Delivery, Period, Right, RightStatus, Subscription, SubscriptionStatus,
};
use chronolith_contract::{Clock, Compiled, EventKind};

use super::Runner;
use super::searching::Traces;
use super::shared::Shared;
use crate::market::events::{
    Covered, EventsError, Fact, Offered, Party, Record, SaleId, Seen, of_right, of_subscription,
};
use crate::market::queue::{Side, rights};
use crate::market::{MarketError, Venue, offer, subscription};
use crate::node::NodeLink;

/// What was seen before.
#[derive(Default)]
pub(super) struct Watch {
    /// What offers say: it does not change.
    offers: BTreeMap<OfferId, Option<Terms>>,
    sales: BTreeMap<SaleId, Brief>,
    /// Where the node was when it was looked last.
    looked: Option<Seen>,
    /// A height at which there were no other sales than those that were seen.
    whole: Option<u64>,
}

/// How many blocks a moment that a record has may be behind what was read then.
const READING_BLOCKS: u64 = 100;

/// What an offer says.
#[derive(Clone, Copy)]
struct Terms {
    /// The contract that it names.
    contract: Hash,
    /// What its buyers get.
    delivery: Delivery,
    /// How long after what was given the owner is paid.
    check_blocks: u32,
    /// Whether he may take it back after that.
    is_revocable: bool,
}

/// What has to be known of a sale to see that nothing happened.
struct Brief {
    /// Of what the ledger shows; none where that was not compared yet.
    fingerprint: Option<u64>,
    /// A height at which the ledger showed no more than that, where it was compared.
    seen: Option<u64>,
    /// When the owner is to be paid, where the ledger showed it.
    settles: Option<u64>,
    /// Until when the present step goes, by the contract's clock.
    due: Option<u64>,
    /// The webhooks that calls wait for.
    waits: BTreeSet<String>,
}

/// A sale as the ledger shows it.
struct Sale {
    id: SaleId,
    contract: Hash,
    offered: Offered,
    shown: Shown,
}

enum Shown {
    Request(Right, Terms),
    Subscription(Subscription, Vec<(u32, Period)>),
}

/// What the ledger does not show of a sale, and the blocks do.
#[derive(Clone, Copy, Default)]
struct Asked {
    covered: Covered,
    ended_by: Option<Party>,
}

/// What is to be done for a sale.
struct Task {
    fingerprint: u64,
    /// Nothing happened; what waits of it is queued.
    is_same: bool,
    /// From which height on the blocks are asked, where they are.
    since: Option<u64>,
}

/// What is given to a buyer.
const GIVEN: [EventKind; 2] = [EventKind::Granted, EventKind::Delivered];

impl Sale {
    fn facts(&self, asked: Asked) -> Vec<Fact> {
        match &self.shown {
            Shown::Request(right, terms) => of_right(right, terms.delivery, asked.covered),
            Shown::Subscription(found, periods) => of_subscription(found, periods, asked.ended_by),
        }
    }

    /// Whether it ended, and the state does not show by whom.
    fn has_ended(&self) -> bool {
        match &self.shown {
            Shown::Request(right, _) => right.status == RightStatus::Refunded,
            Shown::Subscription(found, _) => found.status == SubscriptionStatus::Ended,
        }
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.has_ended(), self.facts(Asked::default())).hash(&mut hasher);
        hasher.finish()
    }

    /// When the owner is to be paid, where the ledger shows it.
    fn settles(&self) -> Option<u64> {
        match &self.shown {
            Shown::Request(Right { status: RightStatus::Granted { settles, .. }, .. }, _) => {
                Some(*settles)
            }
            _ => None,
        }
    }

    /// Whether more may have happened than the ledger shows and the record has.
    fn is_covered(&self, record: Option<&Record>) -> bool {
        let has = |events: &[EventKind]| record.is_some_and(|record| record.has(events));
        let right = match &self.shown {
            Shown::Request(right, terms) => (&right.status, terms.is_revocable),
            Shown::Subscription(..) => {
                return self.has_ended() && !record.is_some_and(Record::is_closed);
            }
        };
        let was_open = !has(&GIVEN) && !has(&[EventKind::Declined, EventKind::Cancelled]);
        match right {
            (RightStatus::Open | RightStatus::Cancelling { .. }, _) => false,
            (RightStatus::Refunded, _) => !record.is_some_and(Record::is_closed),
            (RightStatus::Revoked, true) => {
                was_open || !has(&[EventKind::Settled, EventKind::Revoked])
            }
            _ => was_open,
        }
    }

    /// From which height on the blocks are asked: where this process last saw it as it was, or else where the
    /// record ends; of a sale that is new, where there was none. When the owner was to be paid follows from
    /// when he gave what he sells.
    fn since(&self, brief: Option<&Brief>, record: Option<&Record>, whole: Option<u64>) -> u64 {
        let is_revoked =
            matches!(&self.shown, Shown::Request(right, _) if right.status == RightStatus::Revoked);
        let is_given = is_revoked && record.is_some_and(|record| record.has(&GIVEN));
        let behind = |seen: Seen| seen.height.saturating_sub(READING_BLOCKS);
        match (brief, record) {
            (Some(Brief { seen: Some(seen), settles, .. }), _)
                if !is_given || settles.is_some() =>
            {
                *seen
            }
            (_, Some(record)) if is_given => record.at(&GIVEN).map_or(0, behind),
            (_, Some(record)) => behind(record.latest()),
            (_, None) => whole.unwrap_or(0),
        }
    }

    /// What the blocks say beyond what the ledger shows.
    fn asked(&self, traces: &Traces, settles: Option<u64>) -> Asked {
        let trace = traces.of(self.id);
        let is_settled = |terms: &Terms| {
            // What is not in the blocks that were looked at was given before them.
            let given = trace.given.unwrap_or(traces.from);
            let settles =
                settles.unwrap_or_else(|| given.saturating_add(u64::from(terms.check_blocks)));
            // Transactions of the same block come first.
            terms.is_revocable && trace.revoked.is_some_and(|revoked| revoked > settles)
        };
        let settled = match &self.shown {
            Shown::Request(_, terms) => is_settled(terms),
            Shown::Subscription(..) => false,
        };
        Asked {
            covered: Covered { cancelled: trace.is_cancelled, settled },
            ended_by: trace.ended_by.map(|by| Party::of(by, self.offered.buyer)),
        }
    }
}

impl Watch {
    /// Goes on with the records that are there.
    pub(super) fn resume(&mut self, shared: &Shared) -> Result<(), EventsError> {
        let mut waiting = Vec::new();
        let read = shared.folder.for_each(|record| {
            let brief = Brief::of(shared.book.contract(record.contract), &record);
            if !brief.waits.is_empty() {
                waiting.push((record.calls.first().map(|call| call.seen.height), record.sale));
            }
            self.sales.insert(record.sale, brief);
        });
        // What was seen first is told first.
        waiting.sort_unstable();
        for (_, sale) in waiting {
            shared.with_record(sale, |folder| Ok((folder.record(sale)?, ())))?;
        }
        read
    }
}

impl Brief {
    fn of(compiled: Option<&Compiled>, record: &Record) -> Self {
        let due = compiled.and_then(|compiled| record.due(compiled));
        let waits = record.calls.iter().map(|call| call.webhook.clone()).collect();
        Self { fingerprint: None, seen: None, settles: None, due, waits }
    }

    /// Whether nothing of it has changed.
    fn is_same(&self, fingerprint: u64, compiled: &Compiled, now: Seen) -> bool {
        let time = match compiled.contract().steps.clock {
            Clock::Blocks => now.height,
            Clock::Time => now.time_ms,
        };
        self.fingerprint == Some(fingerprint) && self.due.is_none_or(|due| time <= due)
    }
}

impl Runner {
    /// Sees what happened since the last look, and has it told. One sale that fails keeps no other.
    pub(super) fn watch(&mut self) -> Result<(), MarketError> {
        let Some(calls) = &self.calls else { return Ok(()) };
        let shared = Arc::clone(&calls.shared);
        // What is read is at least as new as this, and as old as what comes behind it: no fact is older than
        // it says, and none is looked for behind where it is.
        let Some(before) = tip(&self.link) else { return Ok(()) };
        let sales = self.sold(&shared)?;
        let Some(now) = tip(&self.link) else { return Ok(()) };
        let (mut first, mut tasks) = (Ok(()), Vec::new());
        for sale in sales {
            match self.task(&shared, &sale, before, now) {
                Ok(task) => tasks.extend(task.map(|task| (sale, task))),
                Err(error) => first = first.and(Err(error.into())),
            }
        }
        let wanted = tasks.iter().filter_map(|(sale, task)| Some((sale.id, task.since?)));
        let traces = self.search(&wanted.collect(), now.height);
        for (sale, task) in tasks {
            let asked = match (task.since, &traces) {
                (None, _) => Asked::default(),
                (Some(_), Ok(traces)) => {
                    let brief = self.watch.sales.get(&sale.id);
                    sale.asked(traces, brief.and_then(|brief| brief.settles))
                }
                // It waits until the blocks can be read.
                (Some(_), Err(_)) => continue,
            };
            let done = self.watch_one(&shared, &sale, &task, asked, (before, now));
            first = first.and(done.map_err(MarketError::from));
        }
        first = first.and(self.watch_deals(&shared, now));
        self.watch.looked = Some(now);
        let done = first.and(traces.map(drop));
        if done.is_ok() {
            self.watch.whole = Some(before.height);
        }
        done
    }

    /// What the account sells under contracts with webhooks.
    fn sold(&mut self, shared: &Shared) -> Result<Vec<Sale>, MarketError> {
        let (desk, watch) = (self.desk.clone(), &mut self.watch);
        let account = desk.account();
        desk.with_venue(|venue| {
            let mut sales = Vec::new();
            for entry in rights(venue, account, Side::Sold, |_| true)? {
                let Some(terms) = watch.terms(venue, shared, entry.right.offer)? else {
                    continue;
                };
                let right = entry.right;
                let Right { offer, buyer, coin, price, .. } = right;
                let offered = Offered { offer: Some(offer), owner: None, buyer, coin, price };
                let (id, shown) = (SaleId::Request(entry.request), Shown::Request(right, terms));
                sales.push(Sale { id, contract: terms.contract, offered, shown });
            }
            for (id, found) in subscription::all_of(venue, account)? {
                let named = watch.terms(venue, shared, found.offer)?;
                let Some(terms) = named.filter(|_| found.owner == account) else {
                    continue;
                };
                let Subscription { offer, subscriber: buyer, coin, price, .. } = found;
                let offered = Offered { offer: Some(offer), owner: None, buyer, coin, price };
                let periods = subscription::drawn(venue, id)?;
                let (id, shown) = (SaleId::Subscription(id), Shown::Subscription(found, periods));
                sales.push(Sale { id, contract: terms.contract, offered, shown });
            }
            Ok(sales)
        })
    }

    /// What is to be done for a sale; none where nothing is.
    fn task(
        &mut self,
        shared: &Shared,
        sale: &Sale,
        before: Seen,
        now: Seen,
    ) -> Result<Option<Task>, EventsError> {
        let Some(compiled) = shared.book.contract(sale.contract) else { return Ok(None) };
        let fingerprint = sale.fingerprint();
        let brief = self.watch.sales.get_mut(&sale.id);
        if let Some(brief) = brief
            && brief.is_same(fingerprint, compiled, now)
        {
            brief.seen = Some(before.height);
            // What waits of it is queued when there is room.
            let has_room = shared.has_room(sale.contract, &brief.waits);
            return Ok(has_room.then_some(Task { fingerprint, is_same: true, since: None }));
        }
        let brief = self.watch.sales.get(&sale.id);
        let record = shared.folder.record(sale.id)?;
        let is_covered = sale.is_covered(record.as_ref());
        let since = is_covered.then(|| sale.since(brief, record.as_ref(), self.watch.whole));
        Ok(Some(Task { fingerprint, is_same: false, since }))
    }

    fn watch_one(
        &mut self,
        shared: &Shared,
        sale: &Sale,
        task: &Task,
        asked: Asked,
        (before, now): (Seen, Seen),
    ) -> Result<(), EventsError> {
        let Some(compiled) = shared.book.contract(sale.contract) else { return Ok(()) };
        let since = self.watch.looked.unwrap_or(Seen { height: 0, time_ms: 0 });
        let brief = shared.with_record(sale.id, |folder| {
            let new = || Record::new(sale.id, compiled, sale.offered.clone(), now);
            let mut record = folder.record(sale.id)?.unwrap_or_else(new);
            if !task.is_same {
                let is_changed = record.take(compiled, &sale.facts(asked), since, now);
                // Both, since the second is noted in the record.
                if sale.has_ended() && record.close() || is_changed {
                    folder.keep(&record)?;
                }
            }
            let brief = Brief::of(Some(compiled), &record);
            Ok((Some(record), brief))
        })?;
        let settles = sale.settles();
        let (fingerprint, seen) = (Some(task.fingerprint), Some(before.height));
        self.watch.sales.insert(sale.id, Brief { fingerprint, seen, settles, ..brief });
        Ok(())
    }
}

impl Watch {
    /// What an offer says, where the node has the contract that it names, and that has webhooks.
    fn terms(
        &mut self,
        venue: &Venue,
        shared: &Shared,
        id: OfferId,
    ) -> Result<Option<Terms>, MarketError> {
        if let Some(known) = self.offers.get(&id) {
            return Ok(*known);
        }
        let said = offer::find(venue, id)?.offer.terms;
        let has_webhooks = |hash: &Hash| {
            let compiled = shared.book.contract(*hash);
            compiled.is_some_and(|compiled| !compiled.contract().webhooks.is_empty())
        };
        let found = match said.auto_grant.filter(has_webhooks) {
            Some(contract) => Some(Terms {
                contract,
                delivery: offer::delivery(venue, id)?,
                check_blocks: said.check_blocks,
                is_revocable: said.is_revocable,
            }),
            None => None,
        };
        self.offers.insert(id, found);
        Ok(found)
    }
}

/// Where the node is; none while it stops.
fn tip(link: &NodeLink) -> Option<Seen> {
    link.chain().look(|validator| {
        let tip = validator.blocks().tip();
        Seen { height: tip.height, time_ms: tip.time_ns / 1_000_000 }
    })
}

#[cfg(test)]
mod tests;
