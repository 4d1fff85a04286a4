#![no_main]
//! Statements about continuous queries.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::continuous::fuzzing::statement(data);
});
