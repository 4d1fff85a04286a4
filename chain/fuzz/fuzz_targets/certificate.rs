#![no_main]
//! Certificates, verified by the set of the seeds.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::certificate(data);
});
