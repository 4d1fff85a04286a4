//! The steps of a contract as rows that lead forward only, which is how a ledger holds a deal that has no loops.
//!
//! A ledger knows who can say that a step is done, who can object, and where each of the two and a deadline lead. It
//! knows no conditions and asks no data: where a contract has them, the deal goes to an arbiter, who follows the
//! contract from what was said ([`Forward::follow`]) and finds what everybody else finds who has the data.

use std::collections::BTreeMap;

use super::{Deal, Effect, Event, Moment, Refusal};
use crate::amount::{Amount, WHOLE_BP};
use crate::compiled::Compiled;
use crate::model::{BUYER, Contract, End, EventKind, OWNER, ShareOf, Step, Transition};
use crate::rule::{Decision, Value};

/// Steps of a contract, in an order in which each leads to later ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The steps that a ledger holds.
    pub rows: Vec<Row>,
    /// The party that the contract leaves decisions to; none where anybody may judge.
    pub arbiter: Option<String>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The step's name.
    pub name: String,
    /// How long it may take, by the contract's clock.
    pub within: u64,
    /// Who can say that it is done; none where nobody can.
    pub done: Option<Said>,
    /// Who can object; none where nobody can.
    pub objected: Option<Said>,
    /// Where it leads when nobody says anything in time.
    pub late: Lead,
}

/// What can be said of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What it is by whom: one event for each party.
    pub by: BTreeMap<String, EventKind>,
    /// Where it leads.
    pub to: Lead,
}

/// Where something leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To a row, by its number.
    Row(usize),
    /// To an end that pays fixed shares.
    End(String),
    /// To the arbiter, since conditions or data decide.
    Arbiter {
        /// How long the contract gives him, by its clock; none where it does not say.
        within: Option<u64>,
        /// The end that follows when he says nothing; none where everybody gets back what is his.
        otherwise: Option<String>,
    },
}

/// Why a contract's steps are no such rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// Events can lead back, so that there is a time for the whole deal.
    #[error("its steps can lead back, and a deal on the ledger goes forward only")]
    LeadsBack,
    /// It pays in parts.
    #[error(
        "the step {0} draws from the escrow as it goes, and a deal on the ledger pays at its end"
    )]
    Draws(String),
    /// One party can say two things of a step that a ledger does not tell apart.
    #[error("the step {step} has several answers of {party}, which the ledger does not tell apart")]
    Several {
        /// The step.
        step: String,
        /// The party.
        party: String,
    },
    /// A condition leads to a step that is somebody else's than the arbiter's.
    #[error(
        "a condition leads from the step {0} to another step, and the ledger knows no conditions: only ends, and what the \
         arbiter says, can follow from one"
    )]
    Conditional(String),
    /// Two parties are to decide, and a ledger has one arbiter.
    #[error("{0} is to rule, too, and a deal on the ledger has one arbiter")]
    Arbiters(String),
    /// A rule asks what time it is.
    #[error("the rule {0} asks for a time, and the ledger keeps none of a deal but its deadlines")]
    Time(String),
    /// The first step is the arbiter's.
    #[error("its first step is the arbiter's, so there is nothing that he could judge")]
    Nothing,
}

/// What was said of a row on the ledger, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The row.
    pub row: usize,
    /// Whose word it is; none where the time was over.
    pub by: Option<String>,
    /// Whether it is an objection.
    pub objects: bool,
}

/// What the arbiter says where a contract leaves it to him.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// In a word.
    pub word: String,
    /// In basis points.
    pub points: u16,
}

/// Where a deal is by its contract, and how it came there.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The deal.
    pub deal: Deal,
    /// What rules decided, with the bytes that they decided from.
    pub decisions: Vec<(Decision, Vec<u8>)>,
    /// What was said and led nowhere, with the reason: its step's deadline followed.
    pub unmet: Vec<String>,
}

/// Why a deal is not one that went by its contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The ledger is at another step.
    #[error("the ledger tells of the step {told}, and by the contract it is {expected}")]
    Step {
        /// What the ledger tells of.
        told: String,
        /// Where it is.
        expected: String,
    },
    /// It is nobody who could have said it.
    #[error("{party} has no such word on the step {step}")]
    Party {
        /// Who.
        party: String,
        /// Of which step.
        step: String,
    },
    /// The contract refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Whether an event is an objection to what was agreed.
const fn is_objection(event: EventKind) -> bool {
    matches!(
        event,
        EventKind::Cancelled | EventKind::Declined | EventKind::Objected | EventKind::Revoked
    )
}

/// Names of what rules know of time; whoever has them in a text of a rule is taken to ask for it.
const OF_TIME: [&str; 3] = ["now", "opened", "entered"];

fn asks_for_time(rule: &str) -> bool {
    let mut words = rule.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
    words.any(|word| OF_TIME.contains(&word))
}

impl Contract {
    /// The names of its parties in the order in which a deal on the ledger has them: owner, buyer, the others.
    pub fn party_names(&self) -> impl Iterator<Item = &str> {
        [OWNER, BUYER].into_iter().chain(self.parties.iter().map(|party| party.name.as_str()))
    }
}

impl End {
    /// What it pays in basis points, the rest first, where no rule decides.
    #[must_use]
    pub fn fixed(&self) -> Option<Vec<(String, u16)>> {
        let points = self.pay.iter().map(|share| match share.share {
            ShareOf::Bp(points) => Some((share.to.clone(), points)),
            ShareOf::Rule(_) => None,
        });
        Some(with_rest(&self.rest, points.collect::<Option<Vec<_>>>()?))
    }
}

/// Shares and the rest as basis points of the whole, the rest first: each party once, nobody who gets nothing. Shares
/// that are more than there is get what there is, the first ones first.
pub(super) fn with_rest(rest: &str, shares: Vec<(String, u16)>) -> Vec<(String, u16)> {
    let mut left = WHOLE_BP;
    let mut all: Vec<(String, u16)> = vec![(rest.to_owned(), 0)];
    for (to, points) in shares {
        let points = points.min(left);
        left = left.saturating_sub(points);
        match all.iter_mut().find(|(party, _)| *party == to) {
            Some((_, known)) => *known = known.saturating_add(points),
            None => all.push((to, points)),
        }
    }
    if let Some((_, points)) = all.first_mut() {
        *points = points.saturating_add(left);
    }
    all.retain(|(_, points)| *points > 0);
    all
}

impl Forward {
    /// The steps of a contract.
    ///
    /// # Errors
    /// Where they lead back, draw, ask for the time, go on after a condition or are the arbiter's from the beginning.
    pub fn of(compiled: &Compiled) -> Result<Self, ForwardError> {
        let contract = compiled.contract();
        let steps = &contract.steps;
        let on = || steps.steps.iter().flat_map(|step| &step.on);
        let mut arbiters = on().filter(|on| on.event == EventKind::Ruled).map(|on| on.by.as_str());
        let arbiter = arbiters.next();
        if let Some(other) = arbiters.find(|other| Some(*other) != arbiter) {
            return Err(ForwardError::Arbiters(other.to_owned()));
        }
        if steps.overall.is_some() {
            return Err(ForwardError::LeadsBack);
        }
        let conditions = steps.steps.iter().flat_map(|step| {
            let rules = step.on.iter().zip(0..);
            rules.map(|(on, number)| (format!("steps/{}/{number}", step.name), on.when.as_str()))
        });
        let shares = steps.ends.iter().flat_map(|end| {
            end.pay.iter().filter_map(|share| match &share.share {
                ShareOf::Rule(rule) => Some((format!("ends/{}/{}", end.name, share.to), &**rule)),
                ShareOf::Bp(_) => None,
            })
        });
        if let Some((name, _)) = conditions.chain(shares).find(|(_, rule)| asks_for_time(rule)) {
            return Err(ForwardError::Time(name));
        }
        let draws = |step: &&Step| step.on.iter().any(|on| on.draw.is_some());
        if let Some(step) = steps.steps.iter().find(draws) {
            return Err(ForwardError::Draws(step.name.clone()));
        }
        let planned = Planned { contract };
        if let Some(step) =
            steps.steps.iter().find(|step| is_ruling(step) && planned.goes_on(&step.name))
        {
            return Err(ForwardError::Conditional(step.name.clone()));
        }
        let first = steps.step(&steps.begins).filter(|step| !is_ruling(step));
        let mut order = Vec::new();
        planned.visit(first.ok_or(ForwardError::Nothing)?, &mut order)?;
        order.reverse();
        let rows = order.iter().map(|step| planned.row(step, &order)).collect::<Result<_, _>>()?;
        Ok(Self { rows, arbiter: arbiter.map(str::to_owned) })
    }

    /// Whether anything leads to the arbiter.
    #[must_use]
    pub fn needs_arbiter(&self) -> bool {
        let leads = self.rows.iter().flat_map(|row| {
            let said = [&row.done, &row.objected].into_iter().flatten().map(|said| &said.to);
            said.chain([&row.late])
        });
        leads.into_iter().any(|lead| matches!(lead, Lead::Arbiter { .. }))
    }

    /// Follows a contract through what a ledger tells of a deal. `answers` are those of the contract's queries to the
    /// data that was delivered; what the ledger's deadlines decided is taken as it is.
    ///
    /// # Errors
    /// Where what is told is not of a deal that went by this contract.
    pub fn follow(
        &self,
        compiled: &Compiled,
        escrow: Amount,
        told: &[Told],
        answers: &BTreeMap<String, Value>,
        ruling: Option<&Ruling>,
    ) -> Result<Followed, FollowError> {
        let mut way = Way { compiled, at: 0, followed: Followed::begin(compiled, escrow) };
        for one in told {
            let row = self.rows.get(one.row);
            let expected = way.followed.deal.place().to_owned();
            let row = row.filter(|row| row.name == expected).ok_or_else(|| FollowError::Step {
                told: row.map_or_else(|| one.row.to_string(), |row| row.name.clone()),
                expected,
            })?;
            let Some(party) = &one.by else {
                way.wait()?;
                continue;
            };
            let said = if one.objects { &row.objected } else { &row.done };
            let heard = said.as_ref().and_then(|said| Some((said.by.get(party)?, &said.to)));
            let wrong = || FollowError::Party { party: party.clone(), step: row.name.clone() };
            let (kind, to) = heard.ok_or_else(wrong)?;
            let mut event = Event::new(*kind, party, way.now());
            if matches!(kind, EventKind::Delivered | EventKind::Evidence) {
                event.answers.clone_from(answers);
            }
            // Conditions of what he judges may ask for his word.
            if let (Lead::Arbiter { .. }, Some(ruling)) = (to, ruling) {
                event = ruling.on(event);
            }
            way.happens(&event)?;
        }
        if let Some(ruling) = ruling
            && let Some(arbiter) = &self.arbiter
            && way.is_at_ruling()
        {
            let event = Event::new(EventKind::Ruled, arbiter, way.now());
            way.happens(&ruling.on(event))?;
        }
        Ok(way.followed)
    }
}

impl Ruling {
    fn on(&self, event: Event) -> Event {
        Event { ruling: self.word.clone(), ruling_bp: self.points, ..event }
    }
}

impl Followed {
    fn begin(compiled: &Compiled, escrow: Amount) -> Self {
        let deal = Deal::open(compiled, escrow, Moment { height: 0, time_ms: 0 });
        Self { deal, decisions: Vec::new(), unmet: Vec::new() }
    }
}

/// A deal that is followed, by a clock that shows nothing but which deadlines were over.
struct Way<'a> {
    compiled: &'a Compiled,
    at: u64,
    followed: Followed,
}

impl Way<'_> {
    const fn now(&self) -> Moment {
        Moment { height: self.at, time_ms: self.at }
    }

    /// Lets the present step's deadline pass.
    fn wait(&mut self) -> Result<(), FollowError> {
        if let Some(due) = self.followed.deal.due(self.compiled) {
            self.at = due.until.saturating_add(1);
        }
        let effects = self.followed.deal.advance(self.compiled, self.now())?;
        self.keep(effects);
        Ok(())
    }

    /// Takes an event; where its conditions do not hold, the deadline of its step passes.
    fn happens(&mut self, event: &Event) -> Result<(), FollowError> {
        match self.followed.deal.apply(self.compiled, event) {
            Ok(effects) => {
                self.keep(effects);
                Ok(())
            }
            Err(Refusal::Unfit { event, by, conditions, .. }) => {
                let why = conditions.trim_start_matches("; ");
                self.followed.unmet.push(format!("{event} by {by}: {why}"));
                self.wait()
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn keep(&mut self, effects: Vec<Effect>) {
        self.followed.decisions.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Decided { decision, inputs } => Some((decision, inputs)),
            _ => None,
        }));
    }

    fn is_at_ruling(&self) -> bool {
        let step = self.compiled.contract().steps.step(self.followed.deal.place());
        !self.followed.deal.is_ended() && step.is_some_and(is_ruling)
    }
}

/// A contract that rows are made of.
struct Planned<'a> {
    contract: &'a Contract,
}

/// Whether a step is what the ledger calls the arbiter's decision.
fn is_ruling(step: &Step) -> bool {
    !step.on.is_empty() && step.on.iter().all(|on| on.event == EventKind::Ruled)
}

impl<'a> Planned<'a> {
    /// The steps that can be reached on the ledger, the later ones first.
    fn visit(&self, step: &'a Step, order: &mut Vec<&'a Step>) -> Result<(), ForwardError> {
        if order.iter().any(|known| known.name == step.name) {
            return Ok(());
        }
        let done = self.said(step, false)?.map(|said| said.to);
        let objected = self.said(step, true)?.map(|said| said.to);
        let late = self.target(&step.deadline.then);
        for target in [done, objected, Some(late)].into_iter().flatten() {
            if let Target::Step(next) = target {
                self.visit(next, order)?;
            }
        }
        order.push(step);
        Ok(())
    }

    fn row(&self, step: &Step, order: &[&Step]) -> Result<Row, ForwardError> {
        let lead = |target: Target<'_>| match target {
            Target::Step(step) => {
                let number = order.iter().position(|known| known.name == step.name);
                Lead::Row(number.unwrap_or(usize::MAX))
            }
            Target::End(name) => Lead::End(name.to_owned()),
            Target::Arbiter { within, otherwise } => {
                Lead::Arbiter { within, otherwise: otherwise.map(str::to_owned) }
            }
        };
        let said = |objects| -> Result<Option<Said>, ForwardError> {
            let found = self.said(step, objects)?;
            Ok(found.map(|found| Said { by: found.by, to: lead(found.to) }))
        };
        Ok(Row {
            name: step.name.clone(),
            within: step.deadline.within,
            done: said(false)?,
            objected: said(true)?,
            late: lead(self.target(&step.deadline.then)),
        })
    }

    /// What can be said of a step, on one of the two sides.
    fn said(&self, step: &Step, objects: bool) -> Result<Option<Heard<'a>>, ForwardError> {
        let is_of_side = |on: &Transition, objects| is_objection(on.event) == objects;
        // Saying it leads where saying nothing leads, and leaves nothing that a rule could ask.
        let is_silence = |on: &Transition| {
            let is_shown = matches!(on.event, EventKind::Delivered | EventKind::Evidence);
            let is_fixed = self.contract.steps.end(&on.to).is_none_or(|end| end.fixed().is_some());
            on.when.is_empty() && on.to == step.deadline.then && !is_shown && is_fixed
        };
        let mut by = BTreeMap::new();
        let (mut to, mut is_judged) = (None, false);
        for on in step.on.iter().filter(|on| is_of_side(on, objects)) {
            let several =
                || ForwardError::Several { step: step.name.clone(), party: on.by.clone() };
            // A ledger lets nobody say both.
            let other =
                || step.on.iter().filter(|one| one.by == on.by && !is_of_side(one, objects));
            if other().next().is_some() {
                if is_silence(on) {
                    continue;
                }
                if !other().all(is_silence) {
                    return Err(several());
                }
            }
            if by.insert(on.by.clone(), on.event).is_some_and(|known| known != on.event) {
                return Err(several());
            }
            is_judged |= !on.when.is_empty() || to.is_some_and(|known| known != on.to.as_str());
            to = Some(on.to.as_str());
        }
        let Some(target) = to.and_then(|name| self.named(name)) else { return Ok(None) };
        let of_side =
            step.on.iter().filter(|on| is_of_side(on, objects) && by.contains_key(&on.by));
        // Where no condition holds, the deadline follows.
        let mut targets = of_side.map(|on| &on.to).chain([&step.deadline.then]);
        if is_judged && targets.any(|to| self.goes_on(to)) {
            return Err(ForwardError::Conditional(step.name.clone()));
        }
        let to = if is_judged {
            Target::Arbiter { within: None, otherwise: self.end_after(&step.deadline.then) }
        } else {
            target
        };
        Ok(Some(Heard { by, to }))
    }

    fn named(&self, name: &str) -> Option<Target<'a>> {
        let steps = &self.contract.steps;
        if let Some(end) = steps.end(name) {
            return Some(match end.fixed() {
                Some(_) => Target::End(&end.name),
                None => Target::Arbiter { within: None, otherwise: None },
            });
        }
        let step = steps.step(name)?;
        if is_ruling(step) {
            let otherwise = self.end_after(&step.deadline.then);
            return Some(Target::Arbiter { within: Some(step.deadline.within), otherwise });
        }
        Some(Target::Step(step))
    }

    /// Whether a name is of a step that parties, and not the arbiter alone, have a word on, now or after him.
    fn goes_on(&self, name: &str) -> bool {
        let Some(step) = self.contract.steps.step(name) else { return false };
        let is_end = |to: &str| self.contract.steps.end(to).is_some();
        !(is_ruling(step) && step.next().all(is_end))
    }

    /// A checked contract names nothing that is not there.
    fn target(&self, name: &str) -> Target<'a> {
        self.named(name).unwrap_or(Target::Arbiter { within: None, otherwise: None })
    }

    /// The end that deadlines alone lead to, where it pays fixed shares.
    fn end_after(&self, name: &str) -> Option<&'a str> {
        let steps = &self.contract.steps;
        let mut name = name;
        // Deadlines alone lead in no circle.
        for _ in 0..=steps.steps.len() {
            if let Some(end) = steps.end(name) {
                return end.fixed().map(|_| end.name.as_str());
            }
            name = &steps.step(name)?.deadline.then;
        }
        None
    }
}

/// Where something leads, by the names of the contract.
enum Target<'a> {
    Step(&'a Step),
    End(&'a str),
    Arbiter { within: Option<u64>, otherwise: Option<&'a str> },
}

/// What can be said of a step, by the names of the contract.
struct Heard<'a> {
    by: BTreeMap<String, EventKind>,
    to: Target<'a>,
}
