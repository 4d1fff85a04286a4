#![no_main]
//! Sets of validators.

use chronolith_chain::validator_set::ValidatorSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, ValidatorSet::decode);
});
