//! What a contract says, as types. The file ([`crate::file`]) and the canonical bytes
//! ([`crate::canonical`]) are two forms of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// The version of contracts that this program reads and writes.
pub const VERSION: u64 = 1;
/// The party that sells or keeps the data; in every contract.
pub const OWNER: &str = "owner";
/// The party that asks and pays; in every contract.
pub const BUYER: &str = "buyer";

/// A data contract: what is sold, for how much, to whom, and how the deal goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The version of the format: [`VERSION`].
    pub contract: u64,
    /// A short name of small letters, digits and `-`.
    pub name: String,
    /// What it is, in a sentence for people.
    pub about: String,
    /// The parties beside owner and buyer, by name.
    pub parties: Vec<Party>,
    /// What is collected.
    pub metrics: Vec<Metric>,
    /// Where and how many copies are kept.
    pub placement: Option<Placement>,
    /// What a right costs.
    pub price: Price,
    /// What else is agreed.
    pub terms: Terms,
    /// Lists that the owner keeps outside of the contract and that rules ask, by name.
    pub lists: Vec<String>,
    /// Who is granted without asking the owner: whom any of these rules lets in.
    pub grants: Vec<GrantRule>,
    /// Questions to the data whose answers decide.
    pub queries: Vec<Query>,
    /// The steps of the deal.
    pub steps: Steps,
    /// Which events call which addresses.
    pub webhooks: Vec<Webhook>,
}

/// A party beside owner and buyer, such as an arbiter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The name that steps use.
    pub name: String,
    /// What it does.
    pub about: String,
}

/// The kinds of values, by the engine's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say all of it")]
pub enum Kind {
    F64,
    I64,
    U64,
    Bool,
    Text,
    Bytes,
}

/// One kind of data from one device or from all of the owner's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The device's name; `*` for every device that the deal names.
    pub device: String,
    /// The metric's name.
    pub name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The kind of its values.
    pub kind: Kind,
    /// The unit of its values; empty where they have none.
    pub unit: String,
    /// How private it is: 1 (highly sensitive) to 4 (bulk).
    pub level: u8,
    /// What is done to every record before it is sealed, as a text of
    /// [`chronolith_keys::policy::Policies`].
    pub policy: String,
    /// How often a record comes: milliseconds; none where it comes when something happens.
    pub every_ms: Option<u64>,
    /// How the values come to be from what a sensor gave, for people.
    pub processing: String,
}

/// Where and how many copies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Where peers may be, by the names that peers give on the ledger; empty for anywhere.
    pub regions: Vec<String>,
    /// How many fragments restore a pack: k.
    pub data: u8,
    /// How many more there are: m.
    pub parity: u8,
    /// How many peers keep each fragment.
    pub replicas: u8,
}

/// What a right costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// `native`, or the id of an issued coin in 64 hexadecimal digits.
    pub coin: String,
    /// How many digits behind the point the coin has.
    pub decimals: u8,
    /// What a right costs, whatever its length.
    pub fixed: Amount,
    /// What it costs for each hour that is begun.
    pub per_hour: Amount,
}

/// What else is agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How many blocks a buyer has to check what he was given.
    pub check_blocks: u32,
    /// Whether the owner may take a right back after he was paid.
    pub revocable: bool,
    /// What that costs him beyond the refund: basis points of the price.
    pub revocation_fee_bp: u16,
    /// What the owner gets of the sales of data that is derived from his: basis points.
    pub royalty_bp: u16,
    /// Whether only answers are sold, and never the records.
    pub answers_only: bool,
}

/// A rule that grants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRule {
    /// Its name, for the record of decisions.
    pub name: String,
    /// A condition in CEL over a request.
    pub when: String,
}

/// The kinds of answers. There are no fractions: a query rounds to a unit that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerKind {
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// A text.
    Text,
}

/// A question to the data. Its statement gives one row of one column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The name that rules use.
    pub name: String,
    /// The statement.
    pub sql: String,
    /// What the answer is.
    pub answer: AnswerKind,
    /// The unit of the answer; empty where it has none.
    pub unit: String,
    /// What is asked, for people.
    pub about: String,
}

/// What happens to a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say all of it")]
pub enum EventKind {
    Accepted,
    Cancelled,
    Declined,
    Delivered,
    Evidence,
    Granted,
    Objected,
    Offered,
    Paid,
    Revoked,
    Ruled,
    Settled,
}

/// What deadlines are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Heights of the chain.
    Blocks,
    /// Milliseconds of the blocks' times.
    Time,
}

/// The steps of a deal: a state machine whose every way ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The first step.
    pub begins: String,
    /// What all deadlines are counted in.
    pub clock: Clock,
    /// When a deal ends at the latest, and how; needed where a step can come again.
    pub overall: Option<Deadline>,
    /// The steps that wait for something, by name.
    pub steps: Vec<Step>,
    /// The ends, by name.
    pub ends: Vec<End>,
}

/// How long something may take, and where it leads when it took longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// How long: blocks or milliseconds, by the clock. The last of them still counts.
    pub within: u64,
    /// The step or end that follows.
    pub then: String,
}

/// A step: somebody has to do something until a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What is due, for people.
    pub about: String,
    /// Who has to act.
    pub due: String,
    /// How long it may take.
    pub deadline: Deadline,
    /// What leads on. The first that fits an event is taken, so their order counts.
    pub on: Vec<Transition>,
}

/// What leads from one step to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// What must happen.
    pub event: EventKind,
    /// Whose doing it must be.
    pub by: String,
    /// A condition in CEL over the event, the answers and the deal. Empty: always.
    pub when: String,
    /// Where it leads.
    pub to: String,
    /// What is paid out of the escrow for each unit of the event.
    pub draw: Option<Draw>,
}

/// What is paid for each unit of an event, as far as the escrow goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Who gets it.
    pub to: String,
    /// How much for each unit.
    pub amount: Amount,
    /// Where the deal goes when the escrow does not have that much for all units: what it has for whole
    /// units is paid.
    pub spent: String,
}

/// An end of a deal, and who gets what is left of the escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Its name.
    pub name: String,
    /// What it means, for people.
    pub about: String,
    /// Shares, each rounded down.
    pub pay: Vec<Share>,
    /// Who gets the rest, with all that was rounded away.
    pub rest: String,
}

/// A share of what is left of the escrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Who gets it.
    pub to: String,
    /// How much.
    pub share: ShareOf,
}

/// How large a share is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShareOf {
    /// Basis points.
    Bp(u16),
    /// A rule in CEL that gives basis points, 0 to 10000. Where it fails, the share is nothing.
    Rule(String),
}

/// What calls an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name: the owner's node finds the secret under it, which no contract holds.
    pub name: String,
    /// An address with `https`.
    pub url: String,
    /// The names of events, steps and ends it is called for.
    pub on: Vec<String>,
}

impl Kind {
    /// The name in contracts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Cancelled,
        Self::Declined,
        Self::Delivered,
        Self::Evidence,
        Self::Granted,
        Self::Objected,
        Self::Offered,
        Self::Paid,
        Self::Revoked,
        Self::Ruled,
        Self::Settled,
    ];

    /// The name in contracts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::Delivered => "delivered",
            Self::Evidence => "evidence",
            Self::Granted => "granted",
            Self::Objected => "objected",
            Self::Offered => "offered",
            Self::Paid => "paid",
            Self::Revoked => "revoked",
            Self::Ruled => "ruled",
            Self::Settled => "settled",
        }
    }
}

impl Step {
    /// Where it leads: by its deadline, by events, by a spent escrow.
    pub fn next(&self) -> impl Iterator<Item = &str> {
        let spent =
            self.on.iter().filter_map(|on| on.draw.as_ref()).map(|draw| draw.spent.as_str());
        let to = self.on.iter().map(|on| on.to.as_str());
        std::iter::once(self.deadline.then.as_str()).chain(to).chain(spent)
    }
}

impl Steps {
    /// A step by its name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// An end by its name.
    #[must_use]
    pub fn end(&self, name: &str) -> Option<&End> {
        self.ends.iter().find(|end| end.name == name)
    }
}

impl Contract {
    /// Brings what has no order into one, so that the same contract has the same bytes.
    pub(crate) fn sort(&mut self) {
        self.parties.sort();
        self.metrics.sort();
        self.lists.sort();
        self.grants.sort();
        self.queries.sort();
        self.webhooks.iter_mut().for_each(|hook| hook.on.sort());
        self.webhooks.sort();
        if let Some(placement) = &mut self.placement {
            placement.regions.sort();
        }
        self.steps.steps.sort_by(|one, other| one.name.cmp(&other.name));
        self.steps.ends.sort_by(|one, other| one.name.cmp(&other.name));
        for end in &mut self.steps.ends {
            end.pay.sort_by(|one, other| one.to.cmp(&other.to));
        }
    }

    /// Whether it has a party of that name.
    #[must_use]
    pub fn has_party(&self, name: &str) -> bool {
        [OWNER, BUYER].contains(&name) || self.parties.iter().any(|party| party.name == name)
    }
}
