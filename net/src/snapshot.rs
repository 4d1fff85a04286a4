//! Snapshots of the chain's state over the network: serving them, and joining by one.
//!
//! | file | |
//! |---|---|
//! | `make.rs` | a thread that makes one every so many blocks |
//! | `serve.rs` | answers for those who join |
//! | `fetch.rs` | joining: whom to ask for which piece, who lied, and what to do where nobody can serve |
//!
//! What is trusted, and how pieces are checked and kept, is the chain's:
//! [`chronolith_chain::consensus::snapshot`].

mod fetch;
mod make;
mod serve;

pub use fetch::{
    SnapshotEvent, SnapshotFetch, SnapshotFetchError, SnapshotLie, Trust, fetch_snapshot,
};
pub use make::{Made, SnapshotMaker};
pub use serve::SnapshotServer;
