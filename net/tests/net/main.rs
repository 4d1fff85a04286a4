//! What the network promises, on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[expect(dead_code, reason = "tests of packs use more of it")]
#[path = "../storage/fixture.rs"]
mod fixture;
mod peers;

mod announcements_are_found;
mod fetch_keepers;
mod fetches_ask_around;
mod fetches_read_one_item;
mod fetches_resume;
mod fetches_survive_losses_and_liars;
mod fragments_are_handed_over;
mod hidden_nodes_take_part;
mod houses;
mod many_nodes_find_each_other;
mod nodes_join_by_snapshot;
#[cfg(feature = "quic")]
mod nodes_speak_quic;
mod requests_are_answered;
mod strangers_are_bounded;
mod validators_agree_over_the_network;
