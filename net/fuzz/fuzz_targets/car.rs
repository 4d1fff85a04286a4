#![no_main]
//! CAR files, and the packs and items in them.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::car(data));
