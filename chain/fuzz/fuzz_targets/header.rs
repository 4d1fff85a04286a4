#![no_main]
//! Headers.

use chronolith_chain::header::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, Header::decode);
});
