#![no_main]
//! What a Byzantine validator says to a node, one message after the other.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::peer(data);
});
