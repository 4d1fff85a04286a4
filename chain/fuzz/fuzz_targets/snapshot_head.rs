#![no_main]
//! What a snapshot is of, as peers offer it: it is decoded before anything is verified.

use chronolith_chain::consensus::snapshot::SnapshotHead;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, SnapshotHead::decode);
});
