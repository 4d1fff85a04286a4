#![no_main]
//! Blocks with their ways to the root.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::shown(data));
