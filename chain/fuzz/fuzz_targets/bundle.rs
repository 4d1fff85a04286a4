#![no_main]
//! Bundles of proofs, verified from the genesis of the seeds.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::bundle(data);
});
