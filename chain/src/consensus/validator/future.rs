//! Messages that came before their height began.

use std::collections::BTreeMap;

use crate::consensus::message::{Message, PeerId};

/// How many small messages of one neighbour are kept: two votes of each validator in a few rounds.
const MOST_OF_ONE: usize = 1_024;
/// How many blocks of one neighbour are kept.
const MOST_BLOCKS_OF_ONE: usize = 1;
/// How many blocks are kept.
const MOST_BLOCKS: usize = 4;
/// How many messages are kept.
const MOST: usize = 16_384;

/// Messages of the height after the present one. They are not checked: who sends nonsense takes
/// his own room only.
#[derive(Default)]
pub(super) struct Future {
    height: u64,
    messages: Vec<(PeerId, Message)>,
    /// Small messages and blocks that are kept of each neighbour.
    of_one: BTreeMap<PeerId, (usize, usize)>,
    blocks: usize,
}

impl Future {
    /// Keeps a message, if there is room for it.
    pub(super) fn keep(&mut self, height: u64, from: PeerId, message: Message) -> bool {
        if height != self.height {
            *self = Self { height, ..Self::default() };
        }
        let (small, blocks) = self.of_one.entry(from).or_default();
        let is_block = matches!(message, Message::Block(_));
        let has_room = if is_block {
            *blocks < MOST_BLOCKS_OF_ONE && self.blocks < MOST_BLOCKS
        } else {
            *small < MOST_OF_ONE && self.messages.len() < MOST
        };
        if !has_room {
            return false;
        }
        if is_block {
            (*blocks, self.blocks) = (*blocks + 1, self.blocks + 1);
        } else {
            *small += 1;
        }
        self.messages.push((from, message));
        true
    }

    /// Takes what was kept for a height.
    pub(super) fn take(&mut self, height: u64) -> Vec<(PeerId, Message)> {
        if height < self.height {
            return Vec::new();
        }
        let kept = std::mem::take(self);
        if kept.height == height { kept.messages } else { Vec::new() }
    }

    /// Whether something was kept for a height.
    pub(super) fn has(&self, height: u64) -> bool {
        self.height == height && !self.messages.is_empty()
    }
}
