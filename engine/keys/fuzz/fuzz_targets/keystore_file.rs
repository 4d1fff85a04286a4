#![no_main]
//! Keystores' files behind a checksum that holds.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_keys_fuzz::bounded(
    data,
    chronolith_keys::fuzzing::keystore_file
));
