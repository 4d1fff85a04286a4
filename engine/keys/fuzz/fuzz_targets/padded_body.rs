#![no_main]
//! Bodies as they are padded before they are encrypted.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_keys_fuzz::bounded(
    data,
    chronolith_keys::fuzzing::padded_body
));
