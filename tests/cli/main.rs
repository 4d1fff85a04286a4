//! The promises of the binary, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[cfg(feature = "sql")]
mod columns_come_back;
mod commands_in_documents_run;
mod crates_depend_in_one_direction;
mod exports_come_back;
mod exports_keep_every_name;
mod inputs_are_accounted_for;
mod killed_writers_lose_nothing;
#[cfg(feature = "sql")]
mod queries_are_answered;
mod real_recordings_are_kept_whole;
mod run;
mod wrong_usage_is_explained;
