//! The promises of the store, one behaviour per file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod aggregates_are_exact;
mod batches_that_arrive_during_upkeep_are_safe;
mod blobs_stay_while_they_are_needed;
mod crash_script;
mod failed_writes_are_never_acknowledged;
mod flipped_bytes_are_seen;
mod hooked;
mod oracle;
mod power_cuts_lose_nothing_acknowledged;
mod questions_are_answered_exactly;
mod random_operations_agree_with_an_oracle;
mod repairs_keep_what_is_whole;
