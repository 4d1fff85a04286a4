#![no_main]
//! Rows that should show a wrong encoding.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_net_fuzz::wrong_row(data));
