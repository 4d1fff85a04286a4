#![no_main]
//! A contract's file.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(
    data,
    chronolith_contract_fuzz::contract_file
));
