#![no_main]
//! Answers to audits.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::answer(data));
