#![no_main]
//! The changes of a commit.

use chronolith_query_fuzz::{in_proportion, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || chronolith_query::continuous::fuzzing::changes(data));
});
