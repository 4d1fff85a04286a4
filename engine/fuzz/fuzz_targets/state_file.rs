#![no_main]
//! The state's file: `0 · content` or `1 · compressed content`.

use chronolith_engine_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine::fuzzing::state_file(data));
