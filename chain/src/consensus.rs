//! Agreeing on blocks: Tendermint's propose, prevote, precommit and commit, driven by one loop.
//!
//! [`Validator`] is the loop. It has no sockets, no clock and no threads: it is given what happened
//! and at what time, and says what to send and when it wants to be woken. What it does itself is to
//! write to its [`Disk`](chronolith_disk::Disk), because an answer may leave only after what it
//! promises is on stable storage. The same loop runs a node that only follows.
//!
//! The state machine of the algorithm is that of a library (`core.rs`, ADR 16). Around it:
//!
//! | file | |
//! |---|---|
//! | `message.rs` | what nodes say to each other |
//! | `guard.rs` | what was signed last: never two things for one step |
//! | `log.rs` | what the present height was told, replayed after a crash |
//! | `store.rs` | committed blocks |
//! | `snapshot/` | joining by a snapshot: what is trusted, serving, and taking one |
//! | `signatures.rs` | what was verified already |
//! | `beacon.rs` | the hash chain of which each proposal reveals an element |
//! | `validator/` | the loop: opening, receiving, proposing, committing, catching up |

mod beacon;
mod core;
mod event;
mod guard;
mod log;
pub mod message;
mod signatures;
pub mod snapshot;
mod store;
mod validator;

pub use beacon::BeaconChain;
pub use core::CoreFailure;
pub use guard::{GuardError, LastSigned, SignGuard, SignedStep};
pub use log::{LogError, entries_of_log};
pub use store::{BlockStore, StoreError};
pub use validator::{
    Config, ConsensusError, Files, Identity, Input, Now, Output, Position, Refusal, Timeouts,
    Validator,
};
