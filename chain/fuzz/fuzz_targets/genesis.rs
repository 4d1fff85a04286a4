#![no_main]
//! Genesis documents, and the state they begin with.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::genesis(data);
});
