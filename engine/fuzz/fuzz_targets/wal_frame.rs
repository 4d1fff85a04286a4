#![no_main]
//! Frames of the log, and reading a file of them: `operation u8 · length u16 · payload` each.

use chronolith_engine_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine::fuzzing::wal_frame(data));
