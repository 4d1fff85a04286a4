#![no_main]
//! Proofs of state.

use chronolith_chain::state::StateProof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, StateProof::decode);
});
