#![no_main]
//! What is encrypted in a keystore.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_keys_fuzz::bounded(
    data,
    chronolith_keys::fuzzing::keystore_contents
));
