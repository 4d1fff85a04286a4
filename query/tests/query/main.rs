//! The promises of SQL, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod answers_equal_a_naive_oracle;
mod answers_equal_those_of_duckdb;
mod as_of_joins_find_the_nearest;
mod buckets_equal_plain_datafusion;
mod classes_equal_plain_datafusion;
mod distinct_values_count_once;
mod fixture;
mod gaps_are_filled;
mod hostile_queries_are_errors;
mod integers_that_do_not_fit_are_errors;
mod limits_hold;
mod plans_use_the_index_and_statistics;
mod problems_show_the_place;
mod rates_follow_each_metric;
mod what_is_read_is_known;
mod windows_grow_and_slide;
