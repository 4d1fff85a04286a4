//! The promises of PromQL, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bad_queries_are_explained;
mod databases_answer;
mod databases_equal_a_naive_oracle;
mod files_of_tests_pass;
mod hostile_queries_are_errors;
mod ranges_equal_single_times;
