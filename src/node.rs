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
//! | `submit.rs` | handing in actions through a node |
//! | `placing.rs` | the owner: having packs kept |
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
pub mod placing;
mod repairer;
mod run;
mod service;
mod settings;
mod state;
pub mod submit;
pub mod testnet;

pub use account::StorageRole;
pub use client::Client;
pub use error::NodeError;
pub use event::NodeEvent;
pub use run::{RunningNode, start};
pub use settings::{NodeSettings, StorageSettings};
pub use state::NodeState;
