//! The promises of the chain's crate, a file for each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod a_validator_signs_once;
mod beacons_go_on;
mod blocks_follow_each_other;
mod certificates_bind;
mod coin_rules;
mod committee;
mod device_and_anchor_rules;
mod directory_rules;
mod dispute_rules;
mod documents_are_current;
mod encodings_are_canonical;
mod failed_disks_end_consensus;
mod governance_rules;
mod light_clients_believe_only_proofs;
mod light_clients_cross_terms;
mod locks_are_not_hidden;
mod lots_are_drawn;
mod malformed_input_is_refused;
mod mempool_rules;
mod messages_are_checked;
mod network;
mod nodes_catch_up;
mod nodes_join_by_snapshot;
mod power_cuts_lose_no_version;
mod random;
mod random_actions_conserve_supply;
mod receipts_are_kept;
mod rights_rules;
mod sales_interleave;
mod signatures_follow_one_rule;
mod signing_twice_is_punished;
mod simulated_chains_hold;
mod simulations_can_see;
mod slots_are_a_tree;
mod snapshots_arrive_whole;
mod states_are_provable;
mod storage_rules;
mod validator_rules;
mod validators_agree;
mod world;
mod wrong_answers_cost_the_bond;
