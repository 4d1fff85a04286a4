//! The process: command line, ingestion formats, and the only place where the crates meet.

#![forbid(unsafe_code)]

pub mod chain;
pub mod cli;
pub mod fleet;
pub mod ingest;
pub mod node;
pub mod packs;
#[cfg(feature = "plot")]
pub mod plot;
pub mod producer;
mod random;
mod rows;
pub mod wallet;
