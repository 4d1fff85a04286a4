//! The promises of the binary, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[cfg(unix)]
mod a_chain_that_fails_leaves_the_database;
mod anchors_are_proved;
mod blobs_and_retention_work_from_the_command_line;
mod chains_are_simulated;
mod chains_are_used_by_hand;
#[cfg(feature = "sql")]
mod columns_come_back;
mod commands_in_documents_run;
#[cfg(feature = "continuous")]
mod continuous_queries_survive_kills;
mod copies_and_foreign_folders;
mod crates_depend_in_one_direction;
mod exports_come_back;
mod exports_keep_every_name;
mod facts_of_the_chain_are_proved;
mod headers_are_read_by_the_ledger;
#[cfg(all(feature = "sql", target_os = "linux"))]
mod hostile_sql_stays_within_memory;
mod inputs_are_accounted_for;
mod interrupted_ingests_keep_what_was_read;
mod killed_writers_lose_nothing;
mod lab;
mod metrics_are_told_apart;
mod node;
mod nodes_join_by_snapshot;
mod nodes_run_as_processes;
#[cfg(feature = "search")]
mod others_are_searched;
mod packs_are_fetched;
mod packs_are_made_and_joined;
mod partitions_heal;
#[cfg(feature = "plot")]
mod plots_show_the_data;
mod producers_are_followed;
#[cfg(all(feature = "sql", feature = "continuous"))]
mod prompt_on_a_terminal;
#[cfg(feature = "promql")]
mod promql_is_answered;
#[cfg(feature = "promql")]
mod promql_tests_are_run;
#[cfg(feature = "sql")]
mod queries_are_answered;
mod real_recordings_are_kept_whole;
mod run;
#[cfg(feature = "search")]
mod searches_are_answered;
mod storage_is_simulated;
mod storage_peers_keep_packs;
#[cfg(target_os = "linux")]
mod strangers_open_many_connections;
mod twenty_nodes_lose_nothing;
mod validators_agree_as_processes;
mod wallets_keep_their_secrets;
mod wrong_usage_is_explained;
