#![no_main]
//! Keys that a buyer is given, as they are once they are opened.

use chronolith_engine_fuzz::{in_proportion, within};
use chronolith_keys::{ChunkSlot, Grant};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within(in_proportion(data.len()), || {
        let Ok(grant) = Grant::from_bytes(data) else { return };
        assert_eq!(&**grant.to_bytes(), data, "the grant has another encoding");
        for (tree, windows) in grant.trees() {
            for window in [*windows.start(), *windows.end()] {
                let slot = ChunkSlot { window, generation: 0, part: 0 };
                assert!(grant.body_key(&tree, slot).is_some(), "a window without a key");
            }
        }
    });
});
