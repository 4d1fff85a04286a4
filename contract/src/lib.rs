//! Data contracts: what is sold, for how much, to whom, and how the deal goes.
//!
//! A contract is a TOML file that people write ([`Compiled::read`]) or a [template](mod@template) with its
//! parameters. It has canonical bytes and a content id, which do not depend on how the file looks. Its
//! [rules](rule) are CEL and decide who is granted and who is paid; its [steps] are a state machine that
//! says what is due, by whom and until when, and what an end pays.
//!
//! ```
//! use std::collections::BTreeMap;
//! use chronolith_contract::steps::{Deal, Event, Moment};
//! use chronolith_contract::{Amount, EventKind, template};
//!
//! let template = template::builtin("sale").ok_or("no such template")??;
//! let given = BTreeMap::from([("metric".to_owned(), "speed".to_owned())]);
//! let contract = template.instantiate(&given)?;
//!
//! let at = |height| Moment { height, time_ms: height * 1_000 };
//! let mut deal = Deal::open(&contract, Amount(1_000), at(1));
//! deal.apply(&contract, &Event::new(EventKind::Granted, "owner", at(5)))?;
//! assert_eq!(deal.due(&contract).ok_or("ended")?.who, "buyer");
//! // Nobody objects, so the time to check passes.
//! deal.advance(&contract, at(200))?;
//! assert_eq!(deal.place(), "settled");
//! assert_eq!(deal.paid()["owner"], Amount(1_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate is pure: no I/O, no clock, no randomness. The ledger enforces money, rights and deadlines; what
//! is decided here is decided on the owner's node, and can be decided again by anyone who has the inputs.

#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod amount;
mod canonical;
mod check;
mod compiled;
pub mod data;
mod file;
mod model;
pub mod price;
pub mod rule;
pub mod steps;
mod suggest;
pub mod template;
pub mod webhook;

pub use amount::{Amount, AmountError, DECIMALS_MAX, WHOLE_BP};
pub use canonical::{CANONICAL_BYTES_MAX, CanonicalError};
pub use compiled::{Compiled, Grant};
pub use file::{FILE_BYTES_MAX, Problem, Problems, schema};
pub use model::{
    AnswerKind, BUYER, Clock, Contract, Deadline, Draw, End, EventKind, GrantRule, Kind, Metric,
    OWNER, Party, Placement, Price, Query, Share, ShareOf, Step, Steps, Terms, Transition, VERSION,
    Webhook,
};
