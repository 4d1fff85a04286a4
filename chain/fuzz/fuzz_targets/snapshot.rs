#![no_main]
//! Pieces of snapshots.

use chronolith_chain::state::SnapshotChunk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, SnapshotChunk::decode);
});
