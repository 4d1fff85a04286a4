//! What a validator told of its blocks, over all of its processes: nothing of it may be lost.

use std::collections::BTreeMap;

use chronolith_chain::hash::BlockId;

use super::frame::Committed;

/// The blocks that a validator told of.
#[derive(Debug)]
pub(super) struct Told {
    blocks: BTreeMap<u64, BlockId>,
    /// Those that its present process told of first.
    fresh: BTreeMap<u64, BlockId>,
    /// Those that an earlier process told of, and the present one did not yet.
    unconfirmed: BTreeMap<u64, BlockId>,
    /// The height that it must tell of next.
    next: u64,
    /// Whether it told of all that it has, since it was asked last.
    is_confirmed: bool,
    /// How many blocks it told of and did not have afterwards.
    pub(super) lost: u64,
    /// How often it did not go on with the next height.
    pub(super) gaps: u64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self {
            blocks: BTreeMap::new(),
            fresh: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            next: 1,
            is_confirmed: false,
            lost: 0,
            gaps: 0,
        }
    }

    /// Its blocks by their heights.
    pub(super) fn blocks(&self) -> &BTreeMap<u64, BlockId> {
        &self.blocks
    }

    /// Its process was killed, and another one begins: the height from which that one has to tell
    /// all once more.
    pub(super) fn begin_again(&mut self) -> u64 {
        self.is_confirmed = false;
        self.unconfirmed.append(&mut self.fresh);
        let last = self.blocks.keys().next_back().copied().unwrap_or(1);
        self.next = self.unconfirmed.keys().next().copied().unwrap_or(last);
        self.next
    }

    /// All of its blocks are asked for.
    pub(super) fn ask_all(&mut self) {
        self.unconfirmed = self.blocks.clone();
        (self.next, self.is_confirmed) = (1, false);
    }

    /// Whether it told of all that it has, since it was asked last.
    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// It tells of a block.
    pub(super) fn note(&mut self, committed: &Committed) {
        let Committed { height, block, .. } = *committed;
        self.gaps += u64::from(height != self.next);
        self.next = height.saturating_add(1);
        self.unconfirmed.remove(&height);
        match self.blocks.insert(height, block) {
            Some(before) => self.lost += u64::from(before != block),
            None => {
                self.fresh.insert(height, block);
            }
        }
    }

    /// It told of all that it has: what is missing is lost.
    pub(super) fn confirm(&mut self) {
        self.lost += self.unconfirmed.len() as u64;
        self.unconfirmed.clear();
        self.is_confirmed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, id: u8) -> Committed {
        Committed {
            height,
            round: 0,
            block: BlockId([id; 32]),
            time_ns: 0,
            changes_set: false,
            refused: 0,
            transactions: Default::default(),
        }
    }

    #[test]
    fn lost_and_changed_blocks_and_gaps_are_seen() {
        let mut told = Told::new();
        (1..=3).for_each(|height| told.note(&block(height, 1)));
        assert_eq!(told.begin_again(), 1);
        (1..=3).for_each(|height| told.note(&block(height, 1)));
        told.confirm();
        assert_eq!((told.lost, told.gaps), (0, 0));

        // What was told twice need not be told a third time, but for the last.
        told.note(&block(4, 1));
        assert_eq!(told.begin_again(), 4);
        told.confirm();
        assert_eq!(told.lost, 1, "the fourth");
        told.note(&block(4, 2));
        assert_eq!((told.lost, told.gaps), (2, 0), "another fourth");
        told.note(&block(6, 1));
        assert_eq!(told.gaps, 1);
    }
}
