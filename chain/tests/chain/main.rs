//! The promises of the chain's crate, a file for each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod encodings_are_canonical;
mod power_cuts_lose_no_version;
mod random;
mod signatures_follow_one_rule;
mod snapshots_arrive_whole;
mod states_are_provable;
