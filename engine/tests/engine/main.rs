//! The promises of the store, one behaviour per file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod aggregates_are_exact;
mod all_holds_with_keys;
mod batches_that_arrive_during_upkeep_are_safe;
mod blobs_stay_while_they_are_needed;
mod chunks_of_others_are_opened;
mod chunks_open_with_their_keys;
mod closing_is_final;
mod crash_script;
mod damage_does_not_stop_the_rest;
mod every_damaged_file_is_named;
mod failed_writes_are_never_acknowledged;
mod files_of_every_version_are_read;
mod flipped_bytes_are_seen;
mod followers_see_every_batch;
mod hidden_values_are_in_no_file;
mod hooked;
mod keyed;
mod large_values_take_bounded_memory;
mod moved_segments_answer_alike;
mod moves_survive_power_cuts;
mod old_windows_expire_whole;
mod oracle;
mod pieces_of_logs_in_values_are_no_frames;
mod power_cuts_lose_nothing_acknowledged;
mod questions_are_answered_exactly;
mod random_operations_agree_with_an_oracle;
mod readers_go_on_while_files_are_removed;
mod records_are_deidentified;
mod repairs_keep_what_is_whole;
mod sealing_with_keys_survives_power_cuts;
mod segment_stores_may_fail;
mod selectors_equal_a_look_at_every_metric;
mod simulated_store;
mod windows_may_be_wide_or_many;
mod writers_go_on_while_chunks_are_sealed;
