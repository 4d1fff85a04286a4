//! A node: one process with the roles that its configuration names.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | the configuration file |
//! | `run.rs` | opening what it names, connecting, running |
//! | `join.rs` | joining by a snapshot before that |
//! | `service.rs` | what it answers to others |
//! | `duties.rs` | what its roles do after each block |
//! | `auditor.rs` | the role of all nodes: judging answers to audits; of validators: attesting them |
//! | `intake.rs`, `keeper.rs` | the storage role: taking fragments in; showing and dropping them |
//! | `repairer.rs` | the repairer: rebuilding what a peer lost |
//! | `account.rs`, `lease_lists.rs`, `event.rs` | what roles sign with, remember, and tell |
//! | `client.rs`, `state.rs` | asking a node; the ledger as it tells it |
//! | `link.rs` | asking it from its own process |
//! | `submit.rs` | handing in actions through a node |
//! | `producing.rs` | the producer's role: rounds of anchoring, packing and placing |
//! | `opening.rs` | offering storage on the ledger |
//! | `placing.rs`, `placing/lost.rs` | the owner: having packs kept; giving what peers lost to others |
//! | `testnet.rs` | configurations and keys of a whole network |

mod account;
mod auditor;
mod client;
mod duties;
mod error;
mod event;
mod intake;
mod join;
mod keeper;
mod lease_lists;
mod link;
pub mod opening;
pub mod placing;
mod producing;
mod repairer;
mod run;
mod selling;
mod service;
mod settings;
mod state;
pub mod submit;
pub mod testnet;
pub(crate) mod turn;

pub use account::StorageRole;
pub use client::Client;
pub use error::NodeError;
pub use event::NodeEvent;
pub use link::NodeLink;
pub use producing::{Producing, ProducingEvent, ProducingSettings, ProducingStatus};
pub use run::{RunningNode, start};
pub use selling::{
    Desk, Disputing, Heard, NotTaken, Selling, SellingEvent, SellingSettings, SellingStatus,
    WebhookStatus, Word, WordError,
};
pub use settings::{
    AloneSettings, DatabaseSettings, NodeSettings, ProcessSettings, StorageSettings,
};
pub use state::NodeState;
