#![no_main]
//! What stays of a segment that was moved to a store.

use chronolith_engine_fuzz::{in_proportion, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || chronolith_engine::fuzzing::segment_tail(data));
});
