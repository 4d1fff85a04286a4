//! Seeing what happens to what the account sells under contracts that have webhooks.
//!
//! What the ledger shows is compared with what the records have. Where the state does not show who ended a
//! sale, the blocks do, as far back as the node keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use chronolith_chain::consensus::StoreError;
use chronolith_chain::hash::{Hash, OfferId};
use chronolith_chain::ledger::{
    Action, Cancel, Delivery, EndSubscription, Period, Right, RightStatus, Subscription,
    SubscriptionStatus,
};
use chronolith_contract::{Clock, Compiled};

use super::Runner;
use super::shared::Shared;
use crate::market::events::{
    EventsError, Fact, Folder, Offered, Party, Record, SaleId, Seen, of_right, of_subscription,
};
use crate::market::queue::{Side, rights};
use crate::market::{MarketError, Venue, offer, subscription};
use crate::node::NodeLink;

/// How many blocks back it is looked for who ended a sale.
const BLOCKS_MOST: u64 = 10_000;

/// What was seen before.
#[derive(Default)]
pub(super) struct Watch {
    /// Which contract an offer names, and what it gives: neither changes.
    offers: BTreeMap<OfferId, Option<(Hash, Delivery)>>,
    sales: BTreeMap<SaleId, Brief>,
    /// Where the node was when it was looked last.
    looked: Option<Seen>,
}

/// What has to be known of a sale to see that nothing happened.
struct Brief {
    /// Of what the ledger shows; none where that was not compared yet.
    fingerprint: Option<u64>,
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
    Request(Right, Delivery),
    Subscription(Subscription, Vec<(u32, Period)>),
}

impl Sale {
    /// What happened, and where that is known, who ended it.
    fn facts(&self, ended_by: Option<Party>) -> Vec<Fact> {
        match &self.shown {
            Shown::Request(right, delivery) => {
                of_right(right, *delivery, ended_by == Some(Party::Buyer))
            }
            Shown::Subscription(found, periods) => of_subscription(found, periods, ended_by),
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
        (self.has_ended(), self.facts(None)).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether an action ends it before its time.
    fn is_ended_by(&self, action: &Action) -> bool {
        match (action, self.id) {
            (Action::Cancel(Cancel { request }), SaleId::Request(id)) => *request == id,
            (
                Action::EndSubscription(EndSubscription { subscription }),
                SaleId::Subscription(id),
            ) => *subscription == id,
            _ => false,
        }
    }
}

impl Watch {
    /// Goes on with the records that are there.
    pub(super) fn resume(&mut self, shared: &Shared) -> Result<(), EventsError> {
        let mut waiting = Vec::new();
        let read = shared.folder.for_each(|record| {
            let brief = Brief::of(shared.book.contract(record.contract), &record, None);
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
    fn of(compiled: Option<&Compiled>, record: &Record, fingerprint: Option<u64>) -> Self {
        let due = compiled.and_then(|compiled| record.due(compiled));
        let waits = record.calls.iter().map(|call| call.webhook.clone()).collect();
        Self { fingerprint, due, waits }
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
        let (desk, watch) = (self.desk.clone(), &mut self.watch);
        let account = desk.account();
        let sales = desk.with_venue(|venue| {
            let sold = |venue: &Venue| rights(venue, account, Side::Sold, |_| true);
            let mut sales = Vec::new();
            for entry in sold(venue)? {
                let Some((contract, delivery)) =
                    watch.contract(venue, &shared, entry.right.offer)?
                else {
                    continue;
                };
                let right = entry.right;
                let Right { offer, buyer, coin, price, .. } = right;
                let offered = Offered { offer, buyer, coin, price };
                let (id, shown) = (SaleId::Request(entry.request), Shown::Request(right, delivery));
                sales.push(Sale { id, contract, offered, shown });
            }
            for (id, found) in subscription::all_of(venue, account)? {
                let named = watch.contract(venue, &shared, found.offer)?;
                let Some((contract, _)) = named.filter(|_| found.owner == account) else {
                    continue;
                };
                let Subscription { offer, subscriber: buyer, coin, price, .. } = found;
                let offered = Offered { offer, buyer, coin, price };
                let periods = subscription::drawn(venue, id)?;
                let shown = Shown::Subscription(found, periods);
                sales.push(Sale { id: SaleId::Subscription(id), contract, offered, shown });
            }
            Ok(sales)
        })?;
        // Behind what was read, so that no fact is older than it says.
        let Some(now) = tip(&self.link) else { return Ok(()) };
        let mut first = Ok(());
        for sale in sales {
            first = first.and(self.watch_one(&shared, &sale, now));
        }
        self.watch.looked = Some(now);
        first
    }

    fn watch_one(&mut self, shared: &Shared, sale: &Sale, now: Seen) -> Result<(), MarketError> {
        let Some(compiled) = shared.book.contract(sale.contract) else { return Ok(()) };
        let fingerprint = sale.fingerprint();
        let brief = self.watch.sales.get(&sale.id);
        let is_same = brief.is_some_and(|brief| brief.is_same(fingerprint, compiled, now));
        // What waits of it is queued when there is room.
        let has_room = |brief: &Brief| shared.has_room(sale.contract, &brief.waits);
        if is_same && !brief.is_some_and(has_room) {
            return Ok(());
        }
        let since = self.watch.looked.unwrap_or(Seen { height: 0, time_ms: 0 });
        let before = |folder: &Folder| folder.record(sale.id);
        // Read apart, since the blocks are not looked at while calls wait for it.
        let is_over = sale.has_ended() && !is_same;
        let ended_by = match is_over {
            true => self.ended_by(sale, before(&shared.folder)?.as_ref(), now)?,
            false => None,
        };
        let brief = shared.with_record(sale.id, |folder| {
            let new = || Record::new(sale.id, compiled, sale.offered.clone(), now);
            let mut record = before(folder)?.unwrap_or_else(new);
            if !is_same {
                let is_changed = record.take(compiled, &sale.facts(ended_by), since, now);
                // Both, since the second is noted in the record.
                if is_over && record.close() || is_changed {
                    folder.keep(&record)?;
                }
            }
            let brief = Brief::of(Some(compiled), &record, Some(fingerprint));
            Ok((Some(record), brief))
        })?;
        self.watch.sales.insert(sale.id, brief);
        Ok(())
    }

    /// Who ended a sale, as the blocks say since it was seen last.
    fn ended_by(
        &self,
        sale: &Sale,
        record: Option<&Record>,
        now: Seen,
    ) -> Result<Option<Party>, MarketError> {
        if record.is_some_and(Record::is_closed) {
            return Ok(None);
        }
        let since = record.map_or(0, |record| record.latest().height);
        let since = since.max(now.height.saturating_sub(BLOCKS_MOST)).max(1);
        for height in since..=now.height {
            if self.stop.is_told() {
                return Err(MarketError::Stopped);
            }
            let read = self.link.chain().look(move |validator| {
                let blocks = validator.blocks();
                Ok::<_, StoreError>(blocks.block(height)?.zip(blocks.receipts(height)?))
            });
            let read = read.transpose().map_err(|error| MarketError::Blocks(Box::new(error)))?;
            let Some((decided, receipts)) = read.flatten() else { continue };
            let transactions = decided.block.transactions.iter().zip(&receipts);
            for (transaction, receipt) in transactions.rev() {
                if receipt.refusal.is_none() && sale.is_ended_by(&transaction.body.action) {
                    let by = Party::of(transaction.body.sender, sale.offered.buyer);
                    return Ok(Some(by));
                }
            }
        }
        Ok(None)
    }
}

impl Watch {
    /// The contract that an offer names, where the node has it and it has webhooks, and what the offer gives.
    fn contract(
        &mut self,
        venue: &Venue,
        shared: &Shared,
        id: OfferId,
    ) -> Result<Option<(Hash, Delivery)>, MarketError> {
        if let Some(known) = self.offers.get(&id) {
            return Ok(*known);
        }
        let named = offer::find(venue, id)?.offer.terms.auto_grant;
        let has_webhooks = |hash: &Hash| {
            let compiled = shared.book.contract(*hash);
            compiled.is_some_and(|compiled| !compiled.contract().webhooks.is_empty())
        };
        let found = match named.filter(has_webhooks) {
            Some(hash) => Some((hash, offer::delivery(venue, id)?)),
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
