#![no_main]
//! Up to where a search index follows its source.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::search::fuzzing::position(data);
});
