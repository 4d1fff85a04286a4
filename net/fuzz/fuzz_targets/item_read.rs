#![no_main]
//! Reads of one item, with answers from anybody.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::item_read(data));
