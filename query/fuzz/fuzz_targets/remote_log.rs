#![no_main]
//! A whole file of what others told.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::search::fuzzing::remote_log(data);
});
