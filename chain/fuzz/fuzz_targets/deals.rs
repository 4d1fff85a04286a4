#![no_main]
//! Values of the state of bounties, deals, subscriptions, extended offers and answers, and tasks.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::deals::value(data);
});
