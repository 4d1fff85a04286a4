#![no_main]
//! The log of a height, as a node finds it when it opens.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::height_log(data);
});
