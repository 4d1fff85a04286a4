#![no_main]
//! Headers of packs.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::pack_header(data));
