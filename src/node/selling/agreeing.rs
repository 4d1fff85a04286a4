//! Seeing what happens to deals that go by contracts with webhooks, and that the account has a part in.
//!
//! All of it is in the ledger's state, in its order, so that nothing has to be looked for in blocks.

use std::collections::BTreeSet;

use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::{Deal, DealStatus};
use chronolith_chain::state::{Overlay, StateError};
use chronolith_contract::Compiled;

use super::Runner;
use super::shared::Shared;
use crate::market::agreement::{Happened, check, happened};
use crate::market::events::{EventsError, Offered, Record, SaleId, Seen};
use crate::market::{MarketError, VenueError, book, deal};

/// What was told of a deal.
pub(super) struct ToldDeal {
    /// How much had happened.
    happened: usize,
    /// The webhooks that calls wait for.
    waits: BTreeSet<String>,
    /// Nothing more can happen, and all of it was told.
    is_over: bool,
}

/// A deal, and what happened to it.
struct Agreed<'a> {
    id: DealId,
    compiled: &'a Compiled,
    offered: Offered,
    happened: Vec<Happened>,
}

impl Runner {
    /// Sees what happened to deals since the last look, and has it told. One that fails keeps no other.
    pub(super) fn watch_deals(&mut self, shared: &Shared, now: Seen) -> Result<(), MarketError> {
        let (desk, account) = (self.desk.clone(), self.desk.account());
        let (contracts, told) = (desk.contracts(), &self.agreed);
        let is_watched = |id: &DealId, one: &Deal| {
            let compiled = contracts.get(&one.plan.contract);
            // Who is named as the arbiter alone agreed to nothing.
            let is_party = one.plan.parties.iter().any(|party| party.account == account);
            let has_hooks = compiled.is_some_and(|one| !one.contract().webhooks.is_empty());
            is_party && has_hooks && !told.get(id).is_some_and(|told| told.is_over)
        };
        let all = desk.with_venue(|venue| {
            let of_state = |state: &Overlay<'_>| {
                let mut all = Vec::new();
                for (id, one) in deal::all_of(state, account)? {
                    if is_watched(&id, &one) {
                        all.extend(deal::find(state, id)?.map(|found| (id, found)));
                    }
                }
                Ok::<_, StateError>(all)
            };
            let looked =
                venue.look(|state, _| of_state(&Overlay::new(state)).map_err(VenueError::from));
            Ok(looked?)
        })?;
        let mut first = Ok(());
        for (id, found) in all {
            let Some(compiled) = contracts.get(&found.deal.plan.contract) else { continue };
            // What goes by another plan is nothing that the contract has names for.
            let Ok(forward) = check(compiled, &found.deal.plan) else { continue };
            let happened = happened(compiled, &forward, &found);
            let is_over = matches!(
                found.deal.status,
                DealStatus::Closed { .. } | DealStatus::Arbitrated | DealStatus::Void
            );
            let known = self.agreed.get_mut(&id).filter(|known| known.happened == happened.len());
            if let Some(known) = known
                && !shared.has_room(book::hash(compiled), &known.waits)
            {
                known.is_over = is_over && known.waits.is_empty();
                continue;
            }
            let count = happened.len();
            let Some(offered) = offered(&found.deal) else { continue };
            let agreed = Agreed { id, compiled, offered, happened };
            match tell(shared, &agreed, now) {
                Ok(waits) => {
                    let is_over = is_over && waits.is_empty();
                    self.agreed.insert(id, ToldDeal { happened: count, waits, is_over });
                }
                Err(error) => first = first.and(Err(error.into())),
            }
        }
        first
    }
}

/// Whose data it is of, and who is to pay how much; none where the deal has fewer parties than every contract.
fn offered(deal: &Deal) -> Option<Offered> {
    let [owner, buyer, ..] = &deal.plan.parties[..] else { return None };
    Some(Offered {
        offer: None,
        owner: Some(owner.account),
        buyer: buyer.account,
        coin: buyer.coin,
        price: buyer.amount,
    })
}

/// Has what happened told; the webhooks that calls wait for.
fn tell(shared: &Shared, agreed: &Agreed<'_>, now: Seen) -> Result<BTreeSet<String>, EventsError> {
    let sale = SaleId::Deal(agreed.id);
    shared.with_record(sale, |folder| {
        let new = || Record::new(sale, agreed.compiled, agreed.offered.clone(), now);
        let mut record = folder.record(sale)?.unwrap_or_else(new);
        if record.take_deal(agreed.compiled, &agreed.happened, now) {
            folder.keep(&record)?;
        }
        let waits = record.calls.iter().map(|call| call.webhook.clone()).collect();
        Ok((Some(record), waits))
    })
}
