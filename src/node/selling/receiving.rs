//! Receiving what the node's account bought into its database.

use std::collections::BTreeSet;

use chronolith_chain::hash::RequestId;
use chronolith_chain::ledger::{Delivery, PeriodStatus, Right, RightStatus};
use chronolith_engine::Durability;

use super::look::Look;
use super::{NotTaken, Runner, SellingEvent};
use crate::buyer::{BuyerError, Received, keys};
use crate::market::bought::Bought;
use crate::market::offer;
use crate::market::queue::Side;
use crate::market::subscription::{self, Period};

/// Where the database remembers what it received: the request, and how many chunks.
const NAMESPACE: &str = "market-received";

impl Runner {
    /// Receives what was granted and is not here yet, or not all of it. One that fails keeps no other.
    pub(super) fn receive(&mut self) -> Result<(), BuyerError> {
        let (mut first, granted) = (Ok(()), self.granted()?);
        let ids: BTreeSet<RequestId> = granted.iter().map(|bought| bought.request()).collect();
        self.desk.status_mut().not_taken.retain(|request, _| ids.contains(request));
        for bought in granted {
            let request = bought.request();
            let is_time = self.looks.get(&request).is_none_or(Look::is_time);
            if !is_time || self.stop.is_told() {
                continue;
            }
            // What failed is tried again in the next round.
            match self.receive_one(bought) {
                Ok(true) => drop(self.looks.remove(&request)),
                Ok(false) => self.looks.entry(request).or_insert_with(Look::first).put_off(),
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// What the account has keys of: granted requests, and periods of subscriptions.
    fn granted(&self) -> Result<Vec<Bought>, BuyerError> {
        let is_granted = |right: &Right| {
            matches!(right.status, RightStatus::Granted { .. } | RightStatus::Settled { .. })
        };
        let rights = self.desk.rights(Side::Bought)?.into_iter();
        let rights = rights.filter(|entry| is_granted(&entry.right));
        let mut found: Vec<Bought> = rights.map(|entry| Bought::Request(entry.request)).collect();
        let account = self.desk.account();
        self.desk.with_venue(|venue| {
            for (subscription, one) in subscription::all_of(venue, account)? {
                if one.subscriber == account {
                    let periods = subscription::drawn(venue, subscription)?.into_iter();
                    let periods = periods.filter(|(_, one)| one.status != PeriodStatus::Faulty);
                    found.extend(
                        periods.map(|(number, _)| Bought::Period(Period { subscription, number })),
                    );
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there was anything new, and all of it was taken.
    fn receive_one(&self, bought: Bought) -> Result<bool, BuyerError> {
        let (trade, request) = (self.desk.trade(), bought.request());
        let Ok(requested) = bought.secret(&trade.purse) else {
            // It was asked for elsewhere, where the secret is.
            return Ok(false);
        };
        let delivery =
            self.desk.with_venue(|venue| Ok(offer::delivery(venue, requested.offer)?))?;
        if delivery != Delivery::Keys {
            return Ok(false);
        }
        let Some(note) = self.desk.note_of(&requested)? else { return Ok(false) };
        let chunks = note.chunks.iter().filter(|told| told.pack.is_some()).count();
        let before = trade.db.state(NAMESPACE, &request.0);
        let before = before.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        if chunks == 0 || before.is_some_and(|before| before >= chunks as u64) {
            return Ok(false);
        }
        // Peers may take their time, and deals by hand need not wait for them.
        let venue = self.desk.connect()?;
        let keys = keys(&venue, bought, &requested)?;
        let received = self.desk.fetch(&venue, &keys, &requested, &note)?;
        let Received { chunks: had, records, refused, .. } = &received;
        if refused.is_empty() {
            let mut batch = trade.db.batch();
            batch.put_state(NAMESPACE, &request.0, &(*had as u64).to_le_bytes());
            trade.db.write(&batch, Durability::Synced)?;
        }
        self.show(bought, &received);
        let (chunks, records, refused) = (*had, *records, refused.len());
        (self.tell)(SellingEvent::Received { request, chunks, records, refused });
        Ok(refused == 0)
    }

    /// Shows whether all of something was taken, and what was not.
    fn show(&self, bought: Bought, received: &Received) {
        let mut status = self.desk.status_mut();
        match NotTaken::of(bought, received) {
            Some(not_taken) => drop(status.not_taken.insert(bought.request(), not_taken)),
            None => {
                status.received += 1;
                status.not_taken.remove(&bought.request());
            }
        }
    }
}
