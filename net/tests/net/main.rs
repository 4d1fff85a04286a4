//! What the network promises, on loopback.

mod peers;

mod announcements_are_found;
mod requests_are_answered;
mod strangers_are_bounded;
mod validators_agree_over_the_network;
