//! What the network promises, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod peers;

mod announcements_are_found;
mod many_nodes_find_each_other;
mod requests_are_answered;
mod strangers_are_bounded;
mod validators_agree_over_the_network;
