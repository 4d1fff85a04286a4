#![no_main]
//! Messages between nodes.

use chronolith_chain::consensus::message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    chronolith_chain_fuzz::canonical(data, Message::decode);
});
