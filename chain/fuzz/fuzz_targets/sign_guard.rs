#![no_main]
//! The file of a sign guard.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::sign_guard(data);
});
