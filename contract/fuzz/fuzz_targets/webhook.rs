#![no_main]
//! The headers and the body of a message from outside.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(
    data,
    chronolith_contract_fuzz::webhook
));
