//! Facts agreed on: the ledger of Chronolith, its state and its proofs.
//!
//! The crate decides and proves; it does no I/O but through [`chronolith_disk::Disk`], and has no
//! sockets, no clock, no threads of its own and no randomness.

#![forbid(unsafe_code)]

pub mod address;
pub mod block;
pub mod certificate;
pub mod coin;
pub mod consensus;
pub mod content;
pub mod encoding;
pub mod genesis;
pub mod hash;
pub mod header;
pub mod history;
mod json;
pub mod keys;
pub mod ledger;
pub mod light;
pub mod list;
pub mod mempool;
pub mod simulate;
pub mod state;
pub mod transaction;
pub mod validator_set;
pub mod vote;
