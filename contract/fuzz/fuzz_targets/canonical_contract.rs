#![no_main]
//! The canonical bytes of a contract.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(
    data,
    chronolith_contract_fuzz::canonical_contract
));
