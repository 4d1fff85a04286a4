#![no_main]
//! Fragments as peers send them.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::fragment(data));
