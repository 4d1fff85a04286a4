//! A node: one process with the roles that its configuration names.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | the configuration file |
//! | `run.rs` | opening what it names, connecting, running |
//! | `service.rs` | what it answers to others |
//! | `client.rs` | asking a node |
//! | `testnet.rs` | configurations and keys of a whole network |

mod client;
mod error;
mod run;
mod service;
mod settings;
pub mod testnet;

pub use client::Client;
pub use error::NodeError;
pub use run::{RunningNode, start};
pub use settings::NodeSettings;
