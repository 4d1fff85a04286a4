//! The promises of peer storage below the network, one behaviour per file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod a_store_answers_questions;
mod a_store_is_used_by_many;
mod a_store_keeps_fragments;
mod a_store_serves_no_damage;
mod a_store_survives_power_cuts;
mod answers_bind;
mod car_files_are_checked;
mod cheaters_are_caught;
mod durability_follows_the_model;
mod fixture;
mod formats_do_not_drift;
mod ipld_tools_read_our_files;
mod items_are_read_in_part;
mod lost_fragments_are_restored;
mod packs_are_whole;
mod placement_is_recomputable;
mod store_fixture;
mod wrong_encodings_are_shown;
