#![no_main]
//! Values of kind `bytes`: `count u16 · encoding`.

use chronolith_engine::Kind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine_fuzz::values(Kind::Bytes, data));
