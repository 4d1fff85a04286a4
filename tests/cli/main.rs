//! The promises of the binary, one behaviour per file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[cfg(unix)]
mod a_chain_that_fails_leaves_the_database;
#[cfg(unix)]
mod acknowledged_requests_survive_kills;
mod anchors_are_proved;
#[cfg(feature = "sql")]
mod answers_are_proved;
#[cfg(unix)]
mod attackers_are_refused;
mod blobs_and_retention_work_from_the_command_line;
#[cfg(all(unix, feature = "mqtt", feature = "sql"))]
mod brokers_are_followed;
mod certificates_let_people_in;
mod chains_are_made_whole;
mod chains_are_simulated;
mod chains_are_used_by_hand;
#[cfg(all(unix, feature = "continuous", feature = "sql"))]
mod changes_are_sent;
#[cfg(all(unix, feature = "continuous", feature = "promql", feature = "sql"))]
mod clients_work_as_their_readmes_say;
#[cfg(feature = "sql")]
mod columns_come_back;
mod commands_in_documents_run;
#[cfg(feature = "continuous")]
mod continuous_queries_survive_kills;
#[cfg(unix)]
mod contracts_are_told;
mod contracts_place_packs;
mod copies_and_foreign_folders;
mod crates_depend_in_one_direction;
mod deals_are_made_by_command;
#[cfg(feature = "sql")]
mod deals_go_by_contracts;
mod devices_change_hands;
mod exports_come_back;
mod exports_keep_every_name;
mod facts_of_the_chain_are_proved;
mod headers_are_read_by_the_ledger;
#[cfg(all(feature = "sql", target_os = "linux"))]
mod hostile_sql_stays_within_memory;
#[cfg(unix)]
mod http;
#[cfg(unix)]
mod influx_clients_write;
mod inputs_are_accounted_for;
mod interrupted_ingests_keep_what_was_read;
#[cfg(unix)]
mod keys_are_kept;
mod killed_writers_lose_nothing;
mod lab;
mod metrics_are_told_apart;
#[cfg(feature = "sql")]
mod mutated_answers_are_refused;
mod node;
mod nodes_join_by_snapshot;
mod nodes_run_as_processes;
#[cfg(unix)]
mod nodes_sell_by_policy;
#[cfg(feature = "s3")]
mod old_segments_move_to_a_store;
#[cfg(feature = "search")]
mod others_are_searched;
mod packs_are_fetched;
mod packs_are_made_and_joined;
mod partitions_heal;
#[cfg(feature = "plot")]
mod plots_show_the_data;
mod producers_are_followed;
#[cfg(all(unix, feature = "promql"))]
mod prometheus_sends;
#[cfg(all(unix, feature = "promql"))]
mod prometheus_writes_and_asks;
#[cfg(all(feature = "sql", feature = "continuous"))]
mod prompt_on_a_terminal;
#[cfg(feature = "promql")]
mod promql_is_answered;
#[cfg(feature = "promql")]
mod promql_tests_are_run;
#[cfg(feature = "sql")]
mod proving;
#[cfg(feature = "sql")]
mod queries_are_answered;
#[cfg(all(unix, feature = "sql", feature = "continuous"))]
mod questions_are_answered_over_http;
#[cfg(all(unix, feature = "sql", feature = "promql"))]
mod real_clients_work_unchanged;
mod real_recordings_are_kept_whole;
#[cfg(all(unix, feature = "promql"))]
mod remote_write_receivers_comply;
#[cfg(all(unix, feature = "sql"))]
mod requests_in_documents_run;
mod rights_are_bought;
#[cfg(all(unix, feature = "continuous", feature = "promql", feature = "search", feature = "sql"))]
mod routes_are_described;
mod run;
#[cfg(feature = "search")]
mod searches_are_answered;
mod storage_is_simulated;
mod storage_peers_keep_packs;
#[cfg(target_os = "linux")]
mod strangers_open_many_connections;
#[cfg(all(unix, feature = "promql"))]
mod telemetry_is_written;
#[cfg(unix)]
mod testnets_run_by_themselves;
mod the_market_says_what_it_refuses;
mod twenty_nodes_lose_nothing;
mod validators_agree_as_processes;
mod wallets_keep_their_secrets;
mod wrong_usage_is_explained;
