#![no_main]
//! A rule in CEL, evaluated where it is one.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_contract_fuzz::bounded(data, chronolith_contract_fuzz::rule));
