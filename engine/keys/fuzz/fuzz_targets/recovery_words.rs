#![no_main]
//! Recovery words as they are typed.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_keys_fuzz::bounded(
    data,
    chronolith_keys::fuzzing::recovery_words
));
