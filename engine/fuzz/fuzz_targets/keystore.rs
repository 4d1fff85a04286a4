#![no_main]
//! Keystores, opened with their wrapping key: `0 · file`, or `1 · trees` that are put into a file here,
//! since no other bytes of theirs would open.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chronolith_engine_fuzz::{in_proportion, within};
use chronolith_keys::{ChunkSlot, Keystore, Secret};
use libfuzzer_sys::fuzz_target;

const KEY: [u8; 32] = [7; 32];
/// All but the trees: what is wrapped is not looked at.
const HEAD: [u8; 106] = {
    let mut head = [0; 106];
    let begin = *b"CLTREES\0\x01\0\x08\0\0\0\x01\0\0\0";
    let mut at = 0;
    while at < begin.len() {
        head[at] = begin[at];
        at += 1;
    }
    head
};

fn file(trees: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(&KEY.into());
    let payload = Payload { msg: trees, aad: &HEAD[..10] };
    let sealed = cipher.encrypt(&[0; 24].into(), payload).expect("a short text");
    [HEAD.as_slice(), &[0; 24], &sealed].concat()
}

fuzz_target!(|data: &[u8]| {
    let bytes = match data.split_first() {
        Some((0, file)) => file.to_vec(),
        Some((1, trees)) => file(trees),
        _ => return,
    };
    within(in_proportion(bytes.len()), || {
        let Ok(found) = Keystore::open_with_key(&bytes, Secret::new(KEY)) else { return };
        for tree in found.trees() {
            for windows in tree.windows() {
                let slot = ChunkSlot { window: *windows.end(), generation: 0, part: 0 };
                assert!(tree.body_key(slot).is_some(), "a window without a key");
            }
        }
    });
});
