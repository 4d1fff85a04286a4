#![no_main]
//! Sealed grants, as the ledger opens them in a dispute.

use chronolith_engine_fuzz::{buyer, in_proportion, within};
use chronolith_keys::Grant;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (secret, context) = buyer();
    within(in_proportion(data.len()), || drop(Grant::open(data, &secret, &context)));
});
