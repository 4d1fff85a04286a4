//! What happens to a deal, and what follows.

use std::collections::BTreeMap;
use std::fmt;

use crate::amount::Amount;
use crate::model::{Clock, EventKind};
use crate::rule::{Decision, Value};

/// A moment of the chain: a block's height and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The height.
    pub height: u64,
    /// The block's time: milliseconds since the epoch.
    pub time_ms: u64,
}

impl Moment {
    /// A moment of which one clock alone is known; the other shows 0.
    pub(crate) const fn of(clock: Clock, at: u64) -> Self {
        match clock {
            Clock::Blocks => Self { height: at, time_ms: 0 },
            Clock::Time => Self { height: 0, time_ms: at },
        }
    }

    /// What a clock shows then.
    #[must_use]
    pub const fn on(self, clock: Clock) -> u64 {
        match clock {
            Clock::Blocks => self.height,
            Clock::Time => self.time_ms,
        }
    }
}

/// Something that somebody did. Who he is was shown to whoever hands it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Whose doing it was: a party's name.
    pub by: String,
    /// When.
    pub at: Moment,
    /// How many units it is of: windows delivered, kilowatt-hours, answers. 1 where nothing is counted.
    pub units: u64,
    /// What an arbiter says, in a word that rules ask.
    pub ruling: String,
    /// What an arbiter says, in basis points.
    pub ruling_bp: u16,
    /// Answers to queries of the contract. That they are true was shown to whoever hands this in.
    pub answers: BTreeMap<String, Value>,
}

impl Event {
    /// An event of one unit, without a ruling and without answers.
    #[must_use]
    pub fn new(kind: EventKind, by: &str, at: Moment) -> Self {
        Self {
            kind,
            by: by.to_owned(),
            at,
            units: 1,
            ruling: String::new(),
            ruling_bp: 0,
            answers: BTreeMap::new(),
        }
    }
}

/// What follows from an event, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// A rule decided; its canonical inputs are to be kept, so that it can be run again.
    Decided {
        /// What it decided.
        decision: Decision,
        /// The canonical bytes of the evaluation.
        inputs: Vec<u8>,
    },
    /// Something is paid out of the escrow.
    Paid {
        /// To whom: a party's name.
        to: String,
        /// How much.
        amount: Amount,
    },
    /// A deadline passed.
    Late {
        /// Of which step.
        step: String,
    },
    /// The deal is at a step or an end now.
    Entered {
        /// Its name.
        name: String,
    },
    /// A webhook is to be called.
    Called {
        /// Its name.
        webhook: String,
        /// The event, step or end that it is called for.
        on: String,
    },
}

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The deal is of another contract.
    #[error("the deal is of another contract")]
    Contract,
    /// The deal has ended.
    #[error("the deal ended as {end}")]
    Ended {
        /// How.
        end: String,
    },
    /// It is earlier than what was seen already.
    #[error(
        "an event at height {at} comes after one at height {now}: hand events in as they happen"
    )]
    Past {
        /// The event's height.
        at: u64,
        /// The height that was seen already.
        now: u64,
    },
    /// A height, a time or a number of units is larger than rules can count.
    #[error("a number of the event is larger than 2^63 - 1")]
    Large,
    /// Nothing in this step waits for such an event of that party, under its conditions.
    #[error("{step} does not wait for {event} by {by}; it waits for {waits}{conditions}")]
    Unfit {
        /// The step.
        step: String,
        /// The event.
        event: &'static str,
        /// Whose doing it was.
        by: String,
        /// What the step waits for.
        waits: String,
        /// What the conditions of such events gave; empty where there were none.
        conditions: String,
    },
    /// An answer is to no query of the contract, or of another kind.
    #[error("the answer {query}: {problem}")]
    Answer {
        /// The query's name.
        query: String,
        /// What is wrong.
        problem: String,
    },
    /// A text is too long, or nothing is drawn for.
    #[error("{field} of the event: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What a deal waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The party that has to act.
    pub who: String,
    /// What is due, for people.
    pub about: String,
    /// The last height or millisecond at which it counts.
    pub until: u64,
    /// Which of them it is.
    pub clock: Clock,
    /// The step or end that follows when nothing happens until then.
    pub then: String,
    /// What may happen, and whose doing it must be.
    pub waits: Vec<(EventKind, String)>,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = match self.clock {
            Clock::Blocks => format!("height {}", self.until),
            Clock::Time => format!("{} ms since the epoch", self.until),
        };
        write!(f, "{} is to act until {until}, otherwise {} follows", self.who, self.then)
    }
}
