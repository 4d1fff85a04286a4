//! The promises of search, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod answers_are_those_of_a_naive_search;
mod catalogues_are_followed;
mod damage_is_rebuilt;
mod hidden_metrics_stay_hidden;
mod hostile_queries_do_nothing;
mod hostile_tellings_are_refused;
mod oracle;
mod power_cuts_lose_nothing_that_was_taken;
mod told;
mod what_others_told_is_kept;
