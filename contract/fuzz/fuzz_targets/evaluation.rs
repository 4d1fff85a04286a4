#![no_main]
//! The record of an evaluation, which an arbiter runs again.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(
    data,
    chronolith_contract_fuzz::evaluation
));
