#![no_main]
//! The proof of what a catalogue lists.

use chronolith_engine_fuzz::{in_proportion, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || chronolith_engine::fuzzing::catalogue_proof(data));
});
