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
mod oracle;
