//! The process: command line, ingestion formats, and the only place where the crates meet.

pub mod fleet;
pub mod ingest;
