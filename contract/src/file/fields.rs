//! The fields of a contract's file: the one list that the reader, the published schema and the page of the
//! format are made from.

use super::statement::SQL_BYTES_MAX;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holds {
    /// A text of at most so many bytes.
    Text(usize),
    /// Small letters, digits, `-` and `_`, at most 64.
    Name,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A decimal number of coins, as a text.
    Amount,
    /// A number and a unit of time: `10s`.
    Duration,
    /// A number of blocks or a time: `20 blocks`, `2h`.
    Deadline,
    /// A rule in CEL.
    Rule,
    /// A list of texts.
    Texts,
    /// Texts by name.
    TextMap,
    /// A table.
    Table(&'static [Field]),
    /// A list of tables.
    Tables(&'static [Field]),
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
    pub(crate) is_needed: bool,
    pub(crate) about: &'static str,
}

const fn needed(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field { name, holds, is_needed: true, about }
}

const fn may(name: &'static str, holds: Holds, about: &'static str) -> Field {
    Field { name, holds, is_needed: false, about }
}

/// The longest sentence for people: bytes.
const ABOUT_BYTES_MAX: usize = 1_024;

pub(crate) const CONTRACT: &[Field] = &[
    needed("contract", Holds::Integer(1, 1), "The version of the format: 1."),
    needed("name", Holds::Name, "A short name."),
    may("about", Holds::Text(ABOUT_BYTES_MAX), "What it is, in a sentence."),
    may("lists", Holds::Texts, "Lists of the owner that rules ask, by name."),
    may("party", Holds::Tables(PARTY), "The parties beside owner and buyer."),
    may("metric", Holds::Tables(METRIC), "What is collected."),
    may("placement", Holds::Table(PLACEMENT), "Where and how many copies are kept."),
    needed("price", Holds::Table(PRICE), "What a right costs."),
    needed("terms", Holds::Table(TERMS), "What else is agreed."),
    may("grant", Holds::Tables(GRANT), "Who is granted without asking the owner."),
    may("query", Holds::Tables(QUERY), "Questions to the data whose answers decide."),
    needed("steps", Holds::Table(STEPS), "Where a deal begins, and when it ends at the latest."),
    needed("step", Holds::Tables(STEP), "The steps that wait for something."),
    needed("end", Holds::Tables(END), "The ends, and who gets what."),
    may("webhook", Holds::Tables(WEBHOOK), "Which events call which addresses."),
];

const PARTY: &[Field] = &[
    needed("name", Holds::Name, "The name that steps use."),
    needed("about", Holds::Text(ABOUT_BYTES_MAX), "What it does."),
];

const METRIC: &[Field] = &[
    may(
        "device",
        Holds::Text(128),
        "The device; * (which is also the default) for those of the deal.",
    ),
    needed("name", Holds::Text(128), "The metric's name."),
    may("tags", Holds::TextMap, "Its tags."),
    needed(
        "kind",
        Holds::OneOf(&["f64", "i64", "u64", "bool", "text", "bytes"]),
        "The kind of its values.",
    ),
    may("unit", Holds::Text(32), "The unit of its values."),
    needed(
        "level",
        Holds::Integer(1, 4),
        "How private: 1 highly sensitive, 2 personal, 3 regular, 4 bulk.",
    ),
    may("policy", Holds::Text(4_096), "De-identification before sealing; see format/policy.md."),
    may(
        "every",
        Holds::Duration,
        "How often a record comes; left out where something must happen.",
    ),
    may(
        "processing",
        Holds::Text(ABOUT_BYTES_MAX),
        "How values come to be from what a sensor gave.",
    ),
];

const PLACEMENT: &[Field] = &[
    may("regions", Holds::Texts, "Where peers may be; left out for anywhere."),
    needed("data", Holds::Integer(1, 64), "How many fragments restore a pack."),
    needed("parity", Holds::Integer(0, 64), "How many more there are."),
    may("replicas", Holds::Integer(1, 16), "How many peers keep each fragment; 1 by default."),
];

const PRICE: &[Field] = &[
    may(
        "coin",
        Holds::Text(64),
        "native (the default), or the id of an issued coin in hexadecimal.",
    ),
    may("decimals", Holds::Integer(0, 38), "Digits behind the point of the coin; 18 by default."),
    may("fixed", Holds::Amount, "What a right costs, whatever its length; 0 by default."),
    may("per_hour", Holds::Amount, "What each hour costs that is begun; 0 by default."),
];

const TERMS: &[Field] = &[
    needed("check_blocks", Holds::Integer(0, u32::MAX as i64), "Blocks a buyer has to check."),
    may("revocable", Holds::Boolean, "Whether the owner may take a right back after he was paid."),
    may("revocation_fee_bp", Holds::Integer(0, 10_000), "What that costs beyond the refund."),
    may("royalty_bp", Holds::Integer(0, 10_000), "The owner's part of the sales of derived data."),
    may("answers_only", Holds::Boolean, "Whether only answers are sold, and never records."),
];

const GRANT: &[Field] = &[
    needed("name", Holds::Name, "The name in the record of decisions."),
    needed("when", Holds::Rule, "A condition over request, lists, budget and now."),
];

const QUERY: &[Field] = &[
    needed("name", Holds::Name, "The name that rules use."),
    needed("sql", Holds::Text(SQL_BYTES_MAX), "A statement that gives one row of one column."),
    needed(
        "answer",
        Holds::OneOf(&["integer", "boolean", "text"]),
        "What the answer is. For fractions: round to a smaller unit.",
    ),
    may("unit", Holds::Text(32), "The unit of the answer."),
    may("about", Holds::Text(ABOUT_BYTES_MAX), "What is asked, for people."),
];

const STEPS: &[Field] = &[
    needed("begins", Holds::Name, "The first step."),
    may(
        "within",
        Holds::Deadline,
        "When a deal ends at the latest; needed where steps come again.",
    ),
    may("then", Holds::Name, "The end that follows then."),
];

const STEP: &[Field] = &[
    needed("name", Holds::Name, "The step's name."),
    may("about", Holds::Text(ABOUT_BYTES_MAX), "What is due, for people."),
    needed("due", Holds::Name, "The party that has to act."),
    needed("within", Holds::Deadline, "How long it may take."),
    needed("then", Holds::Name, "The step or end that follows when it took longer."),
    may("on", Holds::Tables(ON), "What leads on; the first that fits is taken."),
];

const ON: &[Field] = &[
    needed("event", Holds::OneOf(EVENTS), "What must happen."),
    needed("by", Holds::Name, "The party whose doing it must be."),
    may("when", Holds::Rule, "A condition over event, answers, deal and now; left out for always."),
    needed("to", Holds::Name, "The step or end that follows."),
    may("draw", Holds::Table(DRAW), "What is paid for each unit of the event."),
];

/// The names of events.
pub(crate) const EVENTS: &[&str] = &[
    "accepted",
    "cancelled",
    "declined",
    "delivered",
    "evidence",
    "granted",
    "objected",
    "offered",
    "paid",
    "revoked",
    "ruled",
    "settled",
];

const DRAW: &[Field] = &[
    needed("to", Holds::Name, "The party that is paid."),
    needed("amount", Holds::Amount, "How much for each unit."),
    needed("spent", Holds::Name, "The end that follows when the escrow has too little."),
];

const END: &[Field] = &[
    needed("name", Holds::Name, "The end's name."),
    may("about", Holds::Text(ABOUT_BYTES_MAX), "What it means, for people."),
    may("pay", Holds::Tables(PAY), "Shares of what is left of the escrow, each rounded down."),
    needed("rest", Holds::Name, "The party that gets the rest."),
];

const PAY: &[Field] = &[
    needed("to", Holds::Name, "The party."),
    may("bp", Holds::Integer(0, 10_000), "The share in basis points. This or rule."),
    may("rule", Holds::Rule, "A rule that gives the share in basis points."),
];

const WEBHOOK: &[Field] = &[
    needed("name", Holds::Name, "The name that the owner's node finds the secret by."),
    needed("url", Holds::Text(512), "An address with https."),
    needed("on", Holds::Texts, "Names of events, steps and ends."),
];
