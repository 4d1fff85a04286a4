//! Bytes that look random and are the same on every machine, and trees made of them.

use std::convert::Infallible;

use chronolith_keys::{ChunkSlot, KeyTree, Secret, TreeId};
use rand_core::{TryCryptoRng, TryRng};

/// SplitMix64 by its seed. For tests only: it is no generator for secrets.
pub(crate) struct Random(pub(crate) u64);

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            let next = self.try_next_u64()?.to_le_bytes();
            part.copy_from_slice(&next[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Random {}

/// The whole tree of a number.
pub(crate) fn tree(number: u8) -> KeyTree {
    KeyTree::new(TreeId([number; 32]), Secret::generate(&mut Random(number.into())))
}

/// The first chunk of a window.
pub(crate) fn slot(window: i64) -> ChunkSlot {
    ChunkSlot { window, generation: 0, part: 0 }
}

/// What a tree commits to for the first chunk of a window, where it can.
pub(crate) fn commitment(tree: &KeyTree, window: i64) -> Option<[u8; 32]> {
    Some(*tree.body_key(slot(window))?.commitment())
}
