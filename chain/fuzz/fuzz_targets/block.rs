#![no_main]
//! Blocks.

use chronolith_chain::block::Block;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, Block::decode);
});
