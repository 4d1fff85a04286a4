//! The campaigns of other files once more, for a store with keys and encrypted files.

use crate::keyed::with_keys;
use crate::{
    every_damaged_file_is_named, flipped_bytes_are_seen, moved_segments_answer_alike,
    moves_survive_power_cuts, power_cuts_lose_nothing_acknowledged, repairs_keep_what_is_whole,
};

#[test]
fn a_flipped_byte_of_a_closed_store_is_an_error_that_names_the_file() {
    with_keys(
        flipped_bytes_are_seen::a_flipped_byte_of_a_closed_store_is_an_error_that_names_the_file,
    );
}

#[test]
fn a_flipped_byte_of_a_store_that_was_not_closed_reads_as_torn_only_at_the_end() {
    with_keys(
        flipped_bytes_are_seen::a_flipped_byte_of_a_store_that_was_not_closed_reads_as_torn_only_at_the_end,
    );
}

#[test]
fn a_power_cut_after_any_operation_loses_nothing_acknowledged() {
    with_keys(
        power_cuts_lose_nothing_acknowledged::a_power_cut_after_any_operation_loses_nothing_acknowledged,
    );
}

#[test]
fn whichever_file_is_gone() {
    with_keys(every_damaged_file_is_named::whichever_file_is_gone);
}

#[test]
fn whichever_byte_is_flipped_the_store_is_repaired() {
    with_keys(repairs_keep_what_is_whole::whichever_byte_is_flipped_the_store_is_repaired);
}

#[test]
fn moved_segments_answer_alike_and_survive_power_cuts() {
    with_keys(moved_segments_answer_alike::answers_are_the_same_and_opening_reads_nothing);
    with_keys(
        moved_segments_answer_alike::backups_are_whole_without_the_store_and_have_objects_of_their_own,
    );
    with_keys(moves_survive_power_cuts::a_power_cut_at_any_step_of_a_move_loses_nothing);
}
