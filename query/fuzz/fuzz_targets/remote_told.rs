#![no_main]
//! What others send: headers and files of blocks.

use chronolith_query_fuzz as _;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_query::search::fuzzing::remote_told(data);
});
