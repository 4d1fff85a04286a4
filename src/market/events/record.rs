//! What is kept of a sale: the facts that were seen, and the calls that wait for an answer.

use std::collections::BTreeSet;
use std::fmt;

use chronolith_chain::address::Address;
use chronolith_chain::coin::{Amount, Coin};
use chronolith_chain::hash::{DealId, Hash, OfferId, RequestId, SubscriptionId};
use chronolith_contract::steps::Moment;
use chronolith_contract::{Compiled, EventKind};
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::fact::{Fact, Party};
use crate::market::agreement;
use crate::market::book;

/// What the file of a record says it is.
pub(super) const FORMAT: &str = "chronolith sale 1";

/// A sale on the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaleId {
    /// A request, and the right that it became.
    Request(RequestId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A deal of several steps that goes by a contract.
    Deal(DealId),
}

impl SaleId {
    /// What it is, in a word.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Subscription(_) => "subscription",
            Self::Deal(_) => "deal",
        }
    }
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => request.fmt(f),
            Self::Subscription(subscription) => subscription.fmt(f),
            Self::Deal(deal) => deal.fmt(f),
        }
    }
}

/// A block: where the node was when it saw something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its height.
    pub height: u64,
    /// Its time: milliseconds since the epoch.
    pub time_ms: u64,
}

impl Seen {
    /// The later of two.
    #[must_use]
    pub const fn or_later(self, other: Self) -> Self {
        if other.height > self.height { other } else { self }
    }

    /// For the steps of a contract.
    pub(super) const fn moment(self) -> Moment {
        Moment { height: self.height, time_ms: self.time_ms }
    }
}

/// What is sold to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// By which offer; a deal is by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferId>,
    /// Whose data a deal is of; of all else it is the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Address>,
    /// To whom.
    pub buyer: Address,
    /// The coin of the price.
    pub coin: Coin,
    /// What a request costs, or a period; of a deal what the buyer sets aside.
    pub price: Amount,
}

/// A fact that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Happened {
    pub(super) fact: Fact,
    /// When, for the steps of the contract: what happened while the node was away, right after it last looked.
    pub(super) at: Seen,
}

/// What a call tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// Something happened.
    Event(Fact),
    /// Somebody said something of a deal, by his name in the contract.
    Said(String),
    /// A step begins.
    Step,
    /// The steps are over.
    End,
}

/// A call that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The webhook, by its name in the contract.
    pub webhook: String,
    /// The event, step or end.
    pub on: String,
    /// How often that was, with this time; of periods one more than their number.
    pub number: u64,
    /// What it tells of.
    pub told: Told,
    /// Where the node was when it saw it.
    pub seen: Seen,
}

/// A sale under a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub(super) format: String,
    /// Which.
    pub sale: SaleId,
    /// The contract that its offer names.
    pub contract: Hash,
    /// What is sold to whom.
    pub offered: Offered,
    pub(super) opened: Seen,
    pub(super) facts: Vec<Happened>,
    /// Until when deadlines were looked at that had passed.
    pub(super) until: Seen,
    /// How much of what happened to a deal was taken in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) taken: usize,
    /// Whether it has ended, and the blocks were asked by whom.
    pub(super) closed: bool,
    /// The calls that wait, in their order.
    pub calls: Vec<Call>,
}

impl Record {
    /// The record of a sale that is seen for the first time.
    #[must_use]
    pub fn new(sale: SaleId, compiled: &Compiled, offered: Offered, now: Seen) -> Self {
        Self {
            format: FORMAT.to_owned(),
            sale,
            contract: book::hash(compiled),
            offered,
            opened: now,
            facts: Vec::new(),
            until: now,
            taken: 0,
            closed: false,
            calls: Vec::new(),
        }
    }

    /// The last moment that it knows of.
    #[must_use]
    pub fn latest(&self) -> Seen {
        let last = self.facts.last().map_or(self.opened, |happened| happened.at);
        last.or_later(self.until)
    }

    /// Whether it has ended, and who ended it needs no more looking for.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed || self.has(&[EventKind::Cancelled, EventKind::Revoked])
    }

    /// Whether one of some things happened to it, and not to one of its periods.
    #[must_use]
    pub fn has(&self, events: &[EventKind]) -> bool {
        self.at(events).is_some()
    }

    /// A moment before which none of some things had happened to it, where one of them did.
    #[must_use]
    pub fn at(&self, events: &[EventKind]) -> Option<Seen> {
        let is_one =
            |one: &&Happened| one.fact.period.is_none() && events.contains(&one.fact.event);
        self.facts.iter().find(is_one).map(|happened| happened.at)
    }

    /// Notes that it has ended, and that it was looked for by whom; whether that is new.
    pub fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    /// Takes in the facts that it does not have, and the deadlines of the contract that passed, with the calls
    /// that follow; whether anything changed. `since` is when it was looked last, `now` when these were seen.
    pub fn take(&mut self, compiled: &Compiled, facts: &[Fact], since: Seen, now: Seen) -> bool {
        let known: BTreeSet<_> =
            self.facts.iter().map(|one| (one.fact.event, one.fact.period)).collect();
        let is_first = known.is_empty();
        let mut course = Course::of(compiled, self);
        let mut is_changed = false;
        for fact in facts.iter().filter(|fact| !known.contains(&(fact.event, fact.period))) {
            is_changed = true;
            let happened = Happened { fact: *fact, at: since.or_later(self.latest()) };
            self.facts.push(happened);
            let number = fact.period.map_or(1, |period| u64::from(period) + 1);
            self.call(compiled, fact.event.name(), number, Told::Event(*fact), now);
            let begins = (is_first && self.facts.len() == 1).then(|| course.begins()).flatten();
            let entered = course.take(&happened);
            for (name, number) in begins.into_iter().chain(entered) {
                self.call_place(compiled, &name, number, now);
            }
        }
        let late = course.advance(now);
        if !late.is_empty() {
            is_changed = true;
            self.until = now;
        }
        for (name, number) in late {
            self.call_place(compiled, &name, number, now);
        }
        is_changed
    }

    /// Takes in what happened to a deal, of which this has the beginning, with the calls that follow; whether
    /// anything is new.
    pub fn take_deal(
        &mut self,
        compiled: &Compiled,
        happened: &[agreement::Happened],
        now: Seen,
    ) -> bool {
        let known = std::mem::replace(&mut self.taken, happened.len());
        for (place, one) in happened.iter().enumerate().skip(known) {
            let before = happened.iter().take(place).filter(|other| other.name() == one.name());
            let told = match one {
                agreement::Happened::Said(_, by) => Told::Said(by.clone()),
                agreement::Happened::Step(_) => Told::Step,
                agreement::Happened::End(_) => Told::End,
            };
            self.call(compiled, one.name(), before.count() as u64 + 1, told, now);
        }
        happened.len() > known
    }

    /// The last height or millisecond of the present step, by the contract's clock; none where it waits for
    /// nothing.
    #[must_use]
    pub fn due(&self, compiled: &Compiled) -> Option<u64> {
        Course::of(compiled, self).due()
    }

    /// Calls for a step or an end, unless it has the name of an event: that is told when the ledger says it.
    fn call_place(&mut self, compiled: &Compiled, name: &str, number: u64, now: Seen) {
        if EventKind::ALL.iter().any(|event| event.name() == name) {
            return;
        }
        let is_end = compiled.contract().steps.end(name).is_some();
        let told = if is_end { Told::End } else { Told::Step };
        self.call(compiled, name, number, told, now);
    }

    fn call(&mut self, compiled: &Compiled, on: &str, number: u64, told: Told, seen: Seen) {
        let hooks = compiled.contract().webhooks.iter();
        for hook in hooks.filter(|hook| hook.on.iter().any(|name| name == on)) {
            let (webhook, on, told) = (hook.name.clone(), on.to_owned(), told.clone());
            self.calls.push(Call { webhook, on, number, told, seen });
        }
    }

    /// Forgets a call that was answered; whether it was there.
    pub fn answered(&mut self, call: &Call) -> bool {
        let before = self.calls.len();
        self.calls.retain(|other| other != call);
        self.calls.len() < before
    }
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Party {
    /// Of an account in a sale: its buyer, or else who sells.
    #[must_use]
    pub fn of(account: Address, buyer: Address) -> Self {
        if account == buyer { Self::Buyer } else { Self::Owner }
    }
}

#[cfg(test)]
mod tests;
