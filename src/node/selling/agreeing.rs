//! Seeing what happens to deals that go by contracts with webhooks, and that the account has a part in.
//!
//! All of it is in the ledger's state, in its order, so that nothing has to be looked for in blocks.

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::hash::DealId;
use chronolith_chain::ledger::Deal;
use chronolith_chain::state::{Overlay, StateError};
use chronolith_contract::{BUYER, Compiled};

use super::Runner;
use super::shared::Shared;
use crate::market::agreement::{Happened, check, happened};
use crate::market::events::{EventsError, Offered, Record, SaleId, Seen};
use crate::market::{MarketError, VenueError, deal};

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
        let all = desk.with_venue(|venue| {
            let of_state = |state: &Overlay<'_>| {
                let mut all = Vec::new();
                for (id, _) in deal::all_of(state, account)? {
                    all.extend(deal::find(state, id)?.map(|found| (id, found)));
                }
                Ok::<_, StateError>(all)
            };
            let looked =
                venue.look(|state, _| of_state(&Overlay::new(state)).map_err(VenueError::from));
            Ok(looked?)
        })?;
        let mut first = Ok(());
        for (id, found) in all {
            let compiled = desk.contracts().get(&found.deal.plan.contract);
            let Some(compiled) = compiled.filter(|one| !one.contract().webhooks.is_empty()) else {
                continue;
            };
            // What goes by another plan is nothing that the contract has names for.
            let Ok(forward) = check(compiled, &found.deal.plan) else { continue };
            let happened = happened(compiled, &forward, &found);
            if self.agreed.get(&id) == Some(&happened.len()) {
                continue;
            }
            let offered = offered(compiled, &found.deal);
            let agreed = Agreed { id, compiled, offered, happened };
            match tell(shared, &agreed, now) {
                // All of it was told.
                Ok(true) => drop(self.agreed.insert(id, agreed.happened.len())),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error.into())),
            }
        }
        first
    }
}

/// Who is to pay how much.
fn offered(compiled: &Compiled, deal: &Deal) -> Offered {
    let mut named = compiled.contract().party_names().zip(deal.plan.parties.iter());
    let buyer = named.find(|(name, _)| *name == BUYER).map(|(_, party)| *party);
    let (buyer, coin, price) = match buyer {
        Some(party) => (party.account, party.coin, party.amount),
        // Every contract has one.
        None => (Address([0; 32]), Coin::Native, Amount::ZERO),
    };
    Offered { offer: None, buyer, coin, price }
}

/// Has what happened told; whether nothing of it waits.
fn tell(shared: &Shared, agreed: &Agreed<'_>, now: Seen) -> Result<bool, EventsError> {
    let sale = SaleId::Deal(agreed.id);
    shared.with_record(sale, |folder| {
        let new = || Record::new(sale, agreed.compiled, agreed.offered.clone(), now);
        let mut record = folder.record(sale)?.unwrap_or_else(new);
        if record.take_deal(agreed.compiled, &agreed.happened, now) {
            folder.keep(&record)?;
        }
        let is_told = record.calls.is_empty();
        Ok((Some(record), is_told))
    })
}
