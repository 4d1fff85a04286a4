//! A sale on its way through the steps of its contract: what the ledger says of a request is handed to them.
//!
//! Subscriptions have no course: they can be paid for again, which the steps of a contract do not know. That of a deal
//! is on the ledger (`market/agreement/`).

use std::collections::BTreeMap;

use chronolith_contract::steps::{Deal, Effect, Event};
use chronolith_contract::{Amount, Compiled, EventKind};

use super::record::{Happened, Record, SaleId, Seen};

/// What an objection that the ledger found right is called in rules.
const FAULTY: &str = "faulty";

/// A step or an end that is entered, and how often it was, with this time.
pub(super) type Entered = (String, u64);

/// A sale in the steps of its contract.
pub(super) struct Course<'a> {
    compiled: &'a Compiled,
    deal: Option<Deal>,
    entered: BTreeMap<String, u64>,
}

impl<'a> Course<'a> {
    /// Follows a sale to where its record is.
    pub(super) fn of(compiled: &'a Compiled, record: &Record) -> Self {
        let escrow = Amount(record.offered.price.0);
        let deal = match record.sale {
            SaleId::Request(_) => Some(Deal::open(compiled, escrow, record.opened.moment())),
            SaleId::Subscription(_) | SaleId::Deal(_) => None,
        };
        let mut course = Self { compiled, deal, entered: BTreeMap::new() };
        if record.facts.is_empty() {
            return course;
        }
        course.begins();
        for happened in &record.facts {
            course.take(happened);
        }
        course.advance(record.until);
        course
    }

    /// Enters the step where sales begin.
    pub(super) fn begins(&mut self) -> Option<Entered> {
        let name = self.deal.as_ref()?.place().to_owned();
        Some(self.enter(name))
    }

    /// Hands in what happened. What the steps do not wait for leads nowhere, but the time goes on.
    pub(super) fn take(&mut self, happened: &Happened) -> Vec<Entered> {
        let Some(deal) = &mut self.deal else { return Vec::new() };
        let Happened { fact, at } = happened;
        let mut event = Event::new(fact.event, fact.by.name(), at.moment());
        if fact.event == EventKind::Objected {
            FAULTY.clone_into(&mut event.ruling);
        }
        match deal.apply(self.compiled, &event) {
            Ok(effects) => self.entered(effects),
            Err(_) => self.advance(*at),
        }
    }

    /// Takes the deadlines that passed.
    pub(super) fn advance(&mut self, now: Seen) -> Vec<Entered> {
        let Some(deal) = &mut self.deal else { return Vec::new() };
        // One that has ended has no more deadlines.
        let effects = deal.advance(self.compiled, now.moment()).unwrap_or_default();
        self.entered(effects)
    }

    /// The last height or millisecond of the present step.
    pub(super) fn due(&self) -> Option<u64> {
        Some(self.deal.as_ref()?.due(self.compiled)?.until)
    }

    fn entered(&mut self, effects: Vec<Effect>) -> Vec<Entered> {
        let names = effects.into_iter().filter_map(|effect| match effect {
            Effect::Entered { name } => Some(name),
            _ => None,
        });
        names.map(|name| self.enter(name)).collect()
    }

    fn enter(&mut self, name: String) -> Entered {
        let number = self.entered.entry(name.clone()).or_default();
        *number += 1;
        (name, *number)
    }
}
