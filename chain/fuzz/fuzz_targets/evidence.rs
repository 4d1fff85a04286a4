#![no_main]
//! Two messages that one key must not sign both.

use chronolith_chain::encoding::decode;
use chronolith_chain::ledger::Evidence;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, |bytes| decode::<Evidence>("evidence", bytes, 1024));
});
