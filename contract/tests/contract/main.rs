//! The promises of contracts, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod deals_end_and_pay_exactly;
mod decisions_can_be_run_again;
mod example;
mod files_say_all_that_is_wrong;
mod prices_are_found_again;
mod recordings;
mod rules_are_bounded;
mod rules_decide_without_fractions;
mod steps_go_forward;
mod stories;
mod templates_are_contracts;
mod the_same_contract_has_the_same_id;
mod webhooks_are_verified;
