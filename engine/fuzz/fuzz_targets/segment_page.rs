#![no_main]
//! The entries of a page of a segment.

use chronolith_engine_fuzz::{in_proportion, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || chronolith_engine::fuzzing::segment_page(data));
});
