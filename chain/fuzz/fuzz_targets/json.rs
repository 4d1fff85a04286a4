#![no_main]
//! Transactions and genesis documents as JSON.

use chronolith_chain::genesis::Genesis;
use chronolith_chain::transaction::Transaction;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::json(data, Transaction::decode);
    chronolith_chain_fuzz::json(data, Genesis::decode);
});
