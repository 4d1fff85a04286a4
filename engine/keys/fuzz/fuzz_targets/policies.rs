#![no_main]
//! De-identification policies as they stand in a header.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_keys_fuzz::bounded(data, chronolith_keys::fuzzing::policies));
