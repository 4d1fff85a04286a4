#![no_main]
//! Runs: `length u16 · table · content of every section`.

use chronolith_engine_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine::fuzzing::run_table(data));
