#![no_main]
//! Lists of blobs: `length u16 · list · blocks`.

use chronolith_engine_fuzz::{in_proportion, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || chronolith_engine::fuzzing::blob_list(data));
});
