//! What continuous queries promise; a file per promise.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod answers_equal_the_ad_hoc_query;
#[cfg(feature = "sql")]
mod answers_equal_those_of_sql;
mod broken_clocks_close_nothing;
mod changes_are_told_once_each;
mod handles_are_shared_and_streams_wake;
mod hostile_statements_are_errors;
mod new_records_cost_the_same_whatever_the_history;
mod oracle;
mod player;
mod power_cuts_double_and_lose_nothing;
mod statements_do_what_they_say;
