//! Messages that came before their height began.
//!
//! Neighbours are heard one after the other, and not always in step: what one said of several
//! heights can arrive before what another said of the first of them. So the messages of a few heights
//! are kept. Whoever is further behind asks for the blocks instead.

use std::collections::BTreeMap;

use crate::consensus::message::{Message, PeerId};

/// How many heights after the present one messages are kept of.
pub(super) const HEIGHTS_AHEAD: u64 = 4;
/// How many small messages of one neighbour are kept: two votes of each validator in a few rounds.
const MOST_OF_ONE: usize = 1_024;
/// How many blocks of one neighbour are kept.
const MOST_BLOCKS_OF_ONE: usize = 2;
/// How many blocks are kept.
const MOST_BLOCKS: usize = 8;
/// How many messages are kept.
const MOST: usize = 16_384;

/// Messages of heights after the present one. They are not checked: who sends nonsense takes his
/// own room only.
#[derive(Default)]
pub(super) struct Future {
    heights: BTreeMap<u64, Vec<(PeerId, Message)>>,
    /// Small messages and blocks that are kept of each neighbour.
    of_one: BTreeMap<PeerId, Room>,
    of_all: Room,
}

/// What messages take.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    small: usize,
    blocks: usize,
}

impl Room {
    fn of(&mut self, message: &Message) -> &mut usize {
        if matches!(message, Message::Block(_)) { &mut self.blocks } else { &mut self.small }
    }
}

impl Future {
    /// Keeps a message, if there is room for it.
    pub(super) fn keep(&mut self, height: u64, from: PeerId, message: Message) -> bool {
        let is_block = matches!(message, Message::Block(_));
        let (most_of_one, most) =
            if is_block { (MOST_BLOCKS_OF_ONE, MOST_BLOCKS) } else { (MOST_OF_ONE, MOST) };
        let of_one = self.of_one.entry(from).or_default().of(&message);
        let of_all = self.of_all.of(&message);
        if *of_one >= most_of_one || *of_all >= most {
            return false;
        }
        (*of_one, *of_all) = (*of_one + 1, *of_all + 1);
        self.heights.entry(height).or_default().push((from, message));
        true
    }

    /// Takes what was kept for a height, and forgets what was for those below.
    pub(super) fn take(&mut self, height: u64) -> Vec<(PeerId, Message)> {
        self.forget_below(height);
        let taken = self.heights.remove(&height).unwrap_or_default();
        self.make_room(&taken);
        taken
    }

    /// Forgets what was kept for heights below one.
    pub(super) fn forget_below(&mut self, height: u64) {
        let above = self.heights.split_off(&height);
        for messages in std::mem::replace(&mut self.heights, above).into_values() {
            self.make_room(&messages);
        }
    }

    fn make_room(&mut self, messages: &[(PeerId, Message)]) {
        for (from, message) in messages {
            *self.of_all.of(message) -= 1;
            if let Some(of_one) = self.of_one.get_mut(from) {
                *of_one.of(message) -= 1;
            }
        }
        self.of_one.retain(|_, room| room.small + room.blocks > 0);
    }

    /// Whether something was kept for a height.
    pub(super) fn has(&self, height: u64) -> bool {
        self.heights.contains_key(&height)
    }
}
