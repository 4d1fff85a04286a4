#![no_main]
//! Bodies of chunks: `kind code · count u16 · body`.

use chronolith_engine::fuzzing::{body_decode, body_round_trip};
use chronolith_engine_fuzz::{promised, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let count = data.get(1..3).map_or(0, |count| u16::from_le_bytes([count[0], count[1]]));
    // The inner header is read, too, which builds maps of its fields.
    let bound = promised(data.len(), count.into()) + 256 * data.len();
    if let Some(block) = within(bound, || body_decode(data)) {
        body_round_trip(&block);
    }
});
