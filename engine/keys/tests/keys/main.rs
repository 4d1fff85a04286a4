//! The promises of keys, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod bodies_open_with_their_key;
mod derivations_do_not_drift;
mod destroyed_windows_stay_destroyed;
mod grants_have_one_encoding;
mod grants_open_for_one_request;
mod headers_are_read_strictly;
mod keystores_open_with_their_passphrase;
mod random;
mod ranges_give_their_windows_only;
mod secrets_are_not_shown;
