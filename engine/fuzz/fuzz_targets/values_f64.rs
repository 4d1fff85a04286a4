#![no_main]
//! Values of kind `f64`: `count u16 · encoding`.

use chronolith_engine::Kind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| chronolith_engine_fuzz::values(Kind::F64, data));
