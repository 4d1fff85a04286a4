#![no_main]
//! The definitions' file: `0 · content` or `1 · compressed content`.

use chronolith_engine_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine::fuzzing::definitions_file(data));
