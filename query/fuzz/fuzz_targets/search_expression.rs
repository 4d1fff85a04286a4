#![no_main]
//! The text of a search.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::search::fuzzing::expression(data);
});
