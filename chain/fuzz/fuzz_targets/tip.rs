#![no_main]
//! What the next block builds on, with its history.

use chronolith_chain::block::Tip;
use chronolith_chain::encoding::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, |bytes| decode::<Tip>("a tip", bytes, 4096));
});
