#![no_main]
//! Signed transactions.

use chronolith_chain::transaction::Transaction;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, Transaction::decode);
});
