#![no_main]
//! The operations of a batch of what others told.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::search::fuzzing::remote_operations(data);
});
