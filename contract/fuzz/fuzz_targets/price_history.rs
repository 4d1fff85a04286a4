#![no_main]
//! The canonical bytes of a market's history, and the price that is learnt from it.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(
    data,
    chronolith_contract_fuzz::price_history
));
