#![no_main]
//! Signed votes.

use chronolith_chain::encoding::decode;
use chronolith_chain::vote::{Signed, Vote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, |bytes| decode::<Signed<Vote>>("a vote", bytes, 256));
});
