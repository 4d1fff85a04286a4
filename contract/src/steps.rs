//! Follows a deal through the steps of its contract.
//!
//! A [`Deal`] is a pure function of its opening and of what happened since: no clock, no I/O, no
//! randomness. What holds at all times:
//!
//! - what was paid and what is left are together the escrow, to the smallest unit;
//! - a deadline that passed is taken before whatever happens later, so that it makes no difference how
//!   often somebody looks;
//! - a rule that fails lets nothing pass;
//! - every deal ends: at the latest [`Compiled::ends_within`] after it was opened.

mod event;
mod forward;
mod payout;

use std::collections::BTreeMap;

use cid::Cid;

use crate::amount::Amount;
use crate::compiled::Compiled;
use crate::model::{Clock, Deadline, Draw, EventKind, ShareOf, Step, Steps, Transition};
use crate::rule::{Outcome, Shape, TEXT_BYTES_MAX, Value, of_deal};
use forward::with_rest;

pub use event::{Due, Effect, Event, Moment, Refusal};
pub use forward::{FollowError, Followed, Forward, ForwardError, Lead, Row, Ruling, Said, Told};
pub use payout::split;

/// A deal on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal {
    contract: Cid,
    escrow: Amount,
    left: Amount,
    paid: BTreeMap<String, Amount>,
    shares: Vec<(String, u16)>,
    answers: BTreeMap<String, Value>,
    place: String,
    is_ended: bool,
    opened: u64,
    entered: u64,
    now: Moment,
}

/// Where a transition leads, and what is paid on it.
struct Way {
    to: String,
    paid: Option<(String, Amount)>,
}

impl Deal {
    /// Opens a deal: the buyer's escrow is set aside, and the first step is entered.
    #[must_use]
    pub fn open(compiled: &Compiled, escrow: Amount, at: Moment) -> Self {
        let steps = &compiled.contract().steps;
        Self {
            contract: compiled.cid(),
            escrow,
            left: escrow,
            paid: BTreeMap::new(),
            shares: Vec::new(),
            answers: BTreeMap::new(),
            place: steps.begins.clone(),
            is_ended: false,
            opened: at.on(steps.clock),
            entered: at.on(steps.clock),
            now: at,
        }
    }

    /// Opens a deal and follows it through what happened, until a moment.
    ///
    /// # Errors
    /// The [`Refusal`] of the first event that changes nothing, with its position.
    pub fn replay(
        compiled: &Compiled,
        escrow: Amount,
        at: Moment,
        events: &[Event],
        until: Moment,
    ) -> Result<Self, (usize, Refusal)> {
        let mut deal = Self::open(compiled, escrow, at);
        for (event, position) in events.iter().zip(0..) {
            deal.apply(compiled, event).map_err(|refusal| (position, refusal))?;
        }
        match deal.advance(compiled, until) {
            Ok(_) | Err(Refusal::Ended { .. }) => Ok(deal),
            Err(refusal) => Err((events.len(), refusal)),
        }
    }

    /// The name of the step or end where it is.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// What is left of the escrow.
    #[must_use]
    pub const fn left(&self) -> Amount {
        self.left
    }

    /// What each party was paid.
    #[must_use]
    pub const fn paid(&self) -> &BTreeMap<String, Amount> {
        &self.paid
    }

    /// What its end pays of what was left then, in basis points: the rest first, each party once. None while it goes
    /// on.
    #[must_use]
    pub fn shares(&self) -> &[(String, u16)] {
        &self.shares
    }

    /// The answers that were submitted and led on.
    #[must_use]
    pub const fn answers(&self) -> &BTreeMap<String, Value> {
        &self.answers
    }

    /// What is due next, by whom, until when; none when it has ended.
    #[must_use]
    pub fn due(&self, compiled: &Compiled) -> Option<Due> {
        let steps = &compiled.contract().steps;
        let step = steps.step(&self.place).filter(|_| !self.is_ended)?;
        let (until, then) = self.deadline(steps, step);
        Some(Due {
            who: step.due.clone(),
            about: step.about.clone(),
            until,
            clock: steps.clock,
            then: then.to_owned(),
            waits: step.on.iter().map(|on| (on.event, on.by.clone())).collect(),
        })
    }

    /// The last moment of the present step, by the clock, and what follows.
    fn deadline<'a>(&self, steps: &'a Steps, step: &'a Step) -> (u64, &'a str) {
        let until = |from: u64, deadline: &'a Deadline| {
            (from.saturating_add(deadline.within), deadline.then.as_str())
        };
        let own = until(self.entered, &step.deadline);
        match &steps.overall {
            // Of two at once, the one that ends the deal counts.
            Some(overall) => match until(self.opened, overall) {
                whole if whole.0 <= own.0 => whole,
                _ => own,
            },
            None => own,
        }
    }

    /// Takes the deadlines that have passed at a moment.
    ///
    /// # Errors
    /// [`Refusal::Ended`], [`Refusal::Past`], [`Refusal::Large`], [`Refusal::Contract`]; nothing changes.
    pub fn advance(&mut self, compiled: &Compiled, now: Moment) -> Result<Vec<Effect>, Refusal> {
        self.may_go_on(compiled, now)?;
        let mut effects = Vec::new();
        let clock = compiled.contract().steps.clock;
        self.pass(compiled, now.on(clock), &mut effects);
        self.now = now;
        Ok(effects)
    }

    /// Takes an event: first the deadlines that passed before it, then what it leads to.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changes. Deadlines that passed before the event are still to be taken, by
    /// [`Deal::advance`].
    pub fn apply(&mut self, compiled: &Compiled, event: &Event) -> Result<Vec<Effect>, Refusal> {
        check(compiled, event)?;
        let mut next = self.clone();
        let effects = next.take(compiled, event)?;
        *self = next;
        Ok(effects)
    }

    fn take(&mut self, compiled: &Compiled, event: &Event) -> Result<Vec<Effect>, Refusal> {
        let mut effects = self.advance(compiled, event.at)?;
        let steps = &compiled.contract().steps;
        let Some(step) = steps.step(&self.place).filter(|_| !self.is_ended) else {
            return Err(Refusal::Ended { end: self.place.clone() });
        };
        let answers = event.answers.iter();
        self.answers.extend(answers.map(|(name, answer)| (name.clone(), answer.clone())));
        match self.fitting(compiled, step, event, &mut effects) {
            Some(way) => {
                called(compiled, event.kind.name(), &mut effects);
                if let Some((to, amount)) = way.paid {
                    self.pay(&to, amount, &mut effects);
                }
                let at = event.at.on(steps.clock);
                self.enter(compiled, &way.to, at, Some(event), &mut effects);
                Ok(effects)
            }
            None => {
                let conditions = effects.iter().filter_map(|effect| match effect {
                    Effect::Decided { decision, .. } => Some(format!("; {decision}")),
                    _ => None,
                });
                let conditions = conditions.collect();
                let waits = step.on.iter().map(|on| format!("{} by {}", on.event.name(), on.by));
                Err(Refusal::Unfit {
                    step: step.name.clone(),
                    event: event.kind.name(),
                    by: event.by.clone(),
                    waits: waits.collect::<Vec<_>>().join(", "),
                    conditions,
                })
            }
        }
    }

    fn may_go_on(&self, compiled: &Compiled, now: Moment) -> Result<(), Refusal> {
        if compiled.cid() != self.contract {
            return Err(Refusal::Contract);
        }
        if self.is_ended {
            return Err(Refusal::Ended { end: self.place.clone() });
        }
        if now.height < self.now.height || now.time_ms < self.now.time_ms {
            return Err(Refusal::Past { at: now.height, now: self.now.height });
        }
        let is_large = |number: u64| i64::try_from(number).is_err();
        if is_large(now.height) || is_large(now.time_ms) { Err(Refusal::Large) } else { Ok(()) }
    }

    /// Takes the deadlines that have passed. Deadlines alone never lead in a circle, so this ends.
    fn pass(&mut self, compiled: &Compiled, now: u64, effects: &mut Vec<Effect>) {
        let steps = &compiled.contract().steps;
        while let Some(step) = steps.step(&self.place).filter(|_| !self.is_ended) {
            let (until, then) = self.deadline(steps, step);
            if now <= until {
                return;
            }
            effects.push(Effect::Late { step: step.name.clone() });
            let then = then.to_owned();
            // The next step begins when this one was over, not when somebody looked.
            self.enter(compiled, &then, until.saturating_add(1), None, effects);
        }
    }

    /// The first way that fits an event.
    fn fitting(
        &self,
        compiled: &Compiled,
        step: &Step,
        event: &Event,
        effects: &mut Vec<Effect>,
    ) -> Option<Way> {
        let fits = |on: &Transition| on.event == event.kind && on.by == event.by;
        for (on, number) in step.on.iter().zip(0..).filter(|(on, _)| fits(on)) {
            let is_right = on.when.is_empty() || {
                let rule = format!("steps/{}/{number}", step.name);
                self.decide(compiled, &rule, Some(event), event.at, effects) == Outcome::Yes
            };
            if is_right {
                return Some(match &on.draw {
                    Some(draw) => self.drawn(draw, event.units, &on.to),
                    None => Way { to: on.to.clone(), paid: None },
                });
            }
        }
        None
    }

    /// What is drawn for so many units: all of it, or whole units as far as the escrow goes, and the end.
    fn drawn(&self, draw: &Draw, units: u64, to: &str) -> Way {
        let whole = draw.amount.0.checked_mul(u128::from(units)).filter(|sum| *sum <= self.left.0);
        let (amount, to) = match whole {
            Some(sum) => (sum, to),
            None => {
                let rest = self.left.0.checked_rem(draw.amount.0).unwrap_or_default();
                (self.left.0.saturating_sub(rest), draw.spent.as_str())
            }
        };
        Way { to: to.to_owned(), paid: Some((draw.to.clone(), Amount(amount))) }
    }

    fn enter(
        &mut self,
        compiled: &Compiled,
        name: &str,
        at: u64,
        event: Option<&Event>,
        effects: &mut Vec<Effect>,
    ) {
        let from = std::mem::replace(&mut self.place, name.to_owned());
        self.entered = at;
        effects.push(Effect::Entered { name: name.to_owned() });
        called(compiled, name, effects);
        let Some(end) = compiled.contract().steps.end(name) else { return };
        self.is_ended = true;
        // Rules of ends see the step that the deal came from; of a deadline they see the contract's clock
        // alone, because when somebody looked must not decide.
        self.place = from;
        let now = event.map_or(Moment::of(compiled.contract().steps.clock, at), |event| event.at);
        let shares: Vec<u16> = end
            .pay
            .iter()
            .map(|share| match &share.share {
                ShareOf::Bp(points) => *points,
                ShareOf::Rule(_) => {
                    let rule = format!("ends/{}/{}", end.name, share.to);
                    match self.decide(compiled, &rule, event, now, effects) {
                        Outcome::Share(points) => points,
                        _ => 0,
                    }
                }
            })
            .collect();
        self.place = name.to_owned();
        let of_parties = end.pay.iter().map(|share| share.to.clone());
        self.shares = with_rest(&end.rest, of_parties.zip(shares.iter().copied()).collect());
        let (amounts, rest) = split(self.left, &shares);
        for (share, amount) in end.pay.iter().zip(amounts) {
            self.pay(&share.to, amount, effects);
        }
        self.pay(&end.rest, rest, effects);
    }

    fn pay(&mut self, to: &str, amount: Amount, effects: &mut Vec<Effect>) {
        if amount == Amount::ZERO {
            return;
        }
        // Never more than is left, so that all sums stay within the escrow.
        self.left = Amount(self.left.0.saturating_sub(amount.0));
        let paid = self.paid.entry(to.to_owned()).or_default();
        *paid = Amount(paid.0.saturating_add(amount.0));
        effects.push(Effect::Paid { to: to.to_owned(), amount });
    }

    fn decide(
        &self,
        compiled: &Compiled,
        rule: &str,
        event: Option<&Event>,
        now: Moment,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        // Every rule of a contract was compiled when it was checked.
        let Ok((decision, inputs)) = compiled.evaluate(rule, &self.inputs(event, now)) else {
            return Outcome::Failed(crate::rule::Failure::Other);
        };
        let outcome = decision.outcome;
        effects.push(Effect::Decided { decision, inputs });
        outcome
    }

    /// What rules are given: see [`of_deal`].
    fn inputs(&self, event: Option<&Event>, now: Moment) -> Value {
        let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let of_event = match event {
            Some(event) => Value::record([
                ("by", event.by.as_str().into()),
                ("kind", event.kind.name().into()),
                ("ruling", event.ruling.as_str().into()),
                ("ruling_bp", i64::from(event.ruling_bp).into()),
                ("units", number(event.units)),
            ]),
            None => Value::record([
                ("by", "".into()),
                ("kind", "deadline".into()),
                ("ruling", "".into()),
                ("ruling_bp", 0.into()),
                ("units", 0.into()),
            ]),
        };
        let deal = Value::record([
            ("entered", number(self.entered)),
            ("escrow", self.escrow.into()),
            ("left", self.left.into()),
            ("opened", number(self.opened)),
            ("step", self.place.as_str().into()),
        ]);
        let time = [("height", number(now.height)), ("time_s", number(now.time_ms / 1_000))];
        Value::record([
            ("answers", Value::Record(self.answers.clone())),
            ("deal", deal),
            ("event", of_event),
            ("now", Value::record(time)),
        ])
    }
}

/// Which webhooks are to be called for an event, a step or an end.
fn called(compiled: &Compiled, on: &str, effects: &mut Vec<Effect>) {
    let hooks =
        compiled.contract().webhooks.iter().filter(|hook| hook.on.iter().any(|name| name == on));
    effects
        .extend(hooks.map(|hook| Effect::Called { webhook: hook.name.clone(), on: on.to_owned() }));
}

/// What an event must be, whatever the deal waits for.
fn check(compiled: &Compiled, event: &Event) -> Result<(), Refusal> {
    if event.by.len() > TEXT_BYTES_MAX || event.ruling.len() > TEXT_BYTES_MAX {
        return Err(Refusal::Field { field: "ruling", problem: "it is too long" });
    }
    if event.units == 0 {
        return Err(Refusal::Field { field: "units", problem: "an event is of one unit at least" });
    }
    if i64::try_from(event.units).is_err() {
        return Err(Refusal::Large);
    }
    let wrong =
        |query: &str, problem: String| Err(Refusal::Answer { query: query.to_owned(), problem });
    if event.kind != EventKind::Evidence
        && event.kind != EventKind::Delivered
        && let Some(query) = event.answers.keys().next()
    {
        return wrong(query, "answers come with delivered and evidence".to_owned());
    }
    let names = of_deal(compiled.contract());
    let Some(Shape::Record(answers)) = names.get("answers") else { return Ok(()) };
    for (query, answer) in &event.answers {
        let Some(shape) = answers.get(query) else {
            let queries = answers.names().collect::<Vec<_>>().join(", ");
            return wrong(query, format!("the contract asks no such query; it asks {queries}"));
        };
        if let Err(error) = shape.check(answer, query) {
            return wrong(query, format!("{}; round fractions to a smaller unit", error.problem));
        }
    }
    Ok(())
}

impl Compiled {
    /// How long a deal takes at most, by the contract's clock: blocks or milliseconds after it was opened.
    #[must_use]
    pub fn ends_within(&self) -> (Clock, u64) {
        let steps = &self.contract().steps;
        let longest = match &steps.overall {
            Some(overall) => overall.within.saturating_add(1),
            // Without an overall deadline no step comes again, so there are as many rounds as steps.
            None => {
                let mut longest: BTreeMap<&str, u64> = BTreeMap::new();
                for _ in 0..=steps.steps.len() {
                    for step in &steps.steps {
                        let after = step.next().filter_map(|name| longest.get(name)).max();
                        let whole = step.deadline.within.saturating_add(1);
                        let whole = whole.saturating_add(after.copied().unwrap_or_default());
                        longest.insert(&step.name, whole);
                    }
                }
                longest.get(steps.begins.as_str()).copied().unwrap_or_default()
            }
        };
        (steps.clock, longest)
    }
}
