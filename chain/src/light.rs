//! The light client: facts of the chain from one trusted header, without a node.
//!
//! A [`Trusted`] header is gone on from by [`Step`]s: a header, the set that signed it, and its
//! certificate. Inside a term the set is the one that the trusted header names; at a term's end the old
//! set has signed the hash of the new one, so one step at each end is enough; and where a third of a
//! set that is trusted signed another header, that can be skipped to. Any older block follows from
//! a verified header by its history root, in a logarithm of hashes. A [`Bundle`] carries all of it
//! with the facts themselves. Nothing of that reads a clock, a disk or a network. Bundles are made
//! by who has the chain, with a [`Prover`].

mod bundle;
mod fact;
mod prove;
mod trust;

pub use bundle::{Ancestor, BUNDLE_VERSION, Bundle, Proved, Refused};
pub use fact::{Fact, FactError};
pub use prove::{ProveError, Prover};
pub use trust::{Options, Step, StepError, Trusted};
