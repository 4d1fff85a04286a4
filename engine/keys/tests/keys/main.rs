//! The promises of keys, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod answers_open_for_one_request;
mod bodies_open_with_their_key;
mod buyers_together_open_the_union;
mod derivations_do_not_drift;
mod destroyed_windows_stay_destroyed;
mod grants_have_one_encoding;
mod grants_open_for_one_request;
mod headers_are_read_strictly;
mod keystore_files_survive_power_cuts;
mod keystores_open_with_their_passphrase;
mod policies_do_what_they_say;
mod random;
mod ranges_give_their_windows_only;
mod records_at_rest_open_with_their_key;
mod secrets_are_not_shown;
mod words_bring_a_keystore_back;
