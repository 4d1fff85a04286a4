//! The process: command line, ingestion formats, and the only place where the crates meet.

#![forbid(unsafe_code)]

#[cfg(feature = "sql")]
pub mod answer;
mod beside;
pub mod buyer;
pub mod chain;
pub mod cli;
pub mod database;
pub mod fleet;
pub mod http;
pub mod identity;
pub mod ingest;
pub mod keys;
pub mod market;
mod moment;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod node;
pub mod packs;
#[cfg(feature = "plot")]
pub mod plot;
pub mod privacy;
pub mod producer;
mod random;
mod rows;
#[cfg(feature = "search")]
mod search;
mod stop;
pub mod store;
pub mod wallet;
mod webhook;
