//! Reading one item of a pack without reading the pack.
//!
//! The data fragments hold the body's bytes in order, so an item lies in a few neighbouring blocks of one
//! or two of them. A reader asks for the blocks of the index where the item's entry should stand, then
//! for the blocks of the item; every answer is checked by the header's root. Only where a data fragment
//! cannot be had are the same blocks of others fetched and decoded.
//!
//! [`ItemRead`] does no I/O: [`ItemRead::step`] says what to fetch, and is told the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chronolith_chain::content::ContentId;
use chronolith_fragment::{
    BLOCK_BYTES, CodeError, ErasureCode, FragmentFault, MaskKey, Shown, fastest, restore_rows,
};

use crate::pack::{ENTRY_BYTES, Entry, Item, PackError, PackHeader, item_of};

/// How often the place of an entry is guessed by its digest before it is halved for.
const GUESSES_MOST: u32 = 6;

/// Neighbouring blocks that are wanted of one fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Which fragment.
    pub fragment: u8,
    /// Which of its blocks.
    pub rows: Range<u32>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These are to be fetched, all at once if one likes, and told.
    Fetch(Vec<Want>),
    /// The item is here, and is what its content id names.
    Done(Item),
    /// The item is not in the pack.
    Absent,
}

/// Why an item cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Too many fragments are missing, or have no key here.
    #[error(
        "block {row} of fragment {fragment} cannot be had: {found} of the {needed} fragments that \
         restore it are left with a key"
    )]
    Unreadable {
        /// Of which fragment.
        fragment: u8,
        /// Which block.
        row: u32,
        /// How many are needed.
        needed: u8,
        /// How many can be had.
        found: u8,
    },
    /// The owner's index or item is wrong.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The blocks cannot be decoded.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// The read of one item.
pub struct ItemRead {
    header: PackHeader,
    cid: ContentId,
    keys: BTreeMap<u8, MaskKey>,
    code: Box<dyn ErasureCode>,
    /// Fragments that cannot be had.
    lost: BTreeSet<u8>,
    /// Blocks that were checked, unmasked.
    blocks: BTreeMap<(u8, u32), Vec<u8>>,
    search: Search,
    bytes_read: u64,
}

/// Where the entry may stand: from `low` to before `high`, between the digests beside them.
struct Search {
    low: u32,
    high: u32,
    below: u64,
    above: u64,
    guesses: u32,
    found: Option<Entry>,
}

impl ItemRead {
    /// A read of an item by the keys that the reader was granted: those of the data fragments that
    /// hold it, at least, and of the first, which holds the index.
    ///
    /// # Errors
    /// [`ReadError::Code`] where the code refuses the shape, which no header's does.
    pub fn new(
        header: PackHeader,
        cid: ContentId,
        keys: BTreeMap<u8, MaskKey>,
    ) -> Result<Self, ReadError> {
        let code = fastest(header.shape.needed(), header.shape.fragments())?;
        let high = header.items;
        let bytes_read = header.to_bytes().len() as u64;
        let search = Search { low: 0, high, below: 0, above: u64::MAX, guesses: 0, found: None };
        let (lost, blocks) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { header, cid, keys, code, lost, blocks, search, bytes_read })
    }

    /// How many bytes were read: the header and all answers, proofs and refused ones included.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Tells an answer to a want. Where it does not hold, its fragment is not asked for again, and
    /// whoever sent it lies.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn tell(&mut self, want: &Want, answer: &[u8]) -> Result<(), FragmentFault> {
        self.bytes_read += answer.len() as u64;
        let (shape, root) = (self.header.shape, &self.header.fragments_root);
        let shown = Shown::check(shape, root, want.fragment, &want.rows, answer);
        let shown = shown.inspect_err(|_| {
            self.lost.insert(want.fragment);
        })?;
        let Some(key) = self.keys.get(&want.fragment) else { return Ok(()) };
        let mut bytes = shown.blocks().to_vec();
        key.apply(want.rows.start, &mut bytes);
        for (row, block) in want.rows.clone().zip(bytes.chunks(BLOCK_BYTES)) {
            self.blocks.insert((want.fragment, row), block.to_vec());
        }
        Ok(())
    }

    /// Tells that a fragment cannot be had.
    pub fn tell_missing(&mut self, fragment: u8) {
        self.lost.insert(fragment);
    }

    /// Tells that a fragment can be had after all.
    pub fn tell_found(&mut self, fragment: u8) {
        self.lost.remove(&fragment);
    }

    /// What comes next. Asking again without telling anything gives the same.
    ///
    /// # Errors
    /// Too many fragments that cannot be had, or a fault of the pack's owner.
    pub fn step(&mut self) -> Result<Step, ReadError> {
        while self.search.found.is_none() {
            if self.search.low >= self.search.high {
                return Ok(Step::Absent);
            }
            let guess = self.guess();
            let start = guess as usize * ENTRY_BYTES;
            let wants = self.wants(start..start + ENTRY_BYTES)?;
            if !wants.is_empty() {
                return Ok(Step::Fetch(wants));
            }
            self.narrow(guess)?;
        }
        let Some(entry) = self.search.found else { return Ok(Step::Absent) };
        let range = entry.offset as usize..entry.end() as usize;
        let wants = self.wants(range.clone())?;
        if !wants.is_empty() {
            return Ok(Step::Fetch(wants));
        }
        Ok(Step::Done(item_of(&entry, &self.bytes(range)?)?))
    }

    /// Where the entry probably stands: digests are spread evenly (interpolation search; Perl, Itai,
    /// Avni, CACM 21(7), 1978).
    fn guess(&self) -> u32 {
        let Search { low, high, below, above, guesses, .. } = self.search;
        if guesses >= GUESSES_MOST {
            return low + (high - low) / 2;
        }
        let part = u128::from(leading(&self.cid).saturating_sub(below));
        let whole = u128::from(above.saturating_sub(below)).max(1);
        let steps = part * u128::from(high - low) / whole;
        (low + steps as u32).min(high - 1)
    }

    /// Learns from all whole entries in the blocks around a guess.
    fn narrow(&mut self, guess: u32) -> Result<(), ReadError> {
        self.search.guesses += 1;
        let bytes = self.header.body_bytes;
        let (first, last) = self.whole_entries(guess);
        for number in first..=last {
            let start = number as usize * ENTRY_BYTES;
            let entry = Entry::read(number, &self.bytes(start..start + ENTRY_BYTES)?, bytes)?;
            if entry.cid == self.cid {
                self.search.found = Some(entry);
                return Ok(());
            }
            let is_below = entry.order() < (*self.cid.digest(), self.cid);
            if is_below && number >= self.search.low {
                (self.search.low, self.search.below) = (number + 1, leading(&entry.cid));
            }
            if !is_below && number < self.search.high {
                (self.search.high, self.search.above) = (number, leading(&entry.cid));
            }
        }
        Ok(())
    }

    /// The first and last entry around one that lie in blocks that are here.
    fn whole_entries(&self, around: u32) -> (u32, u32) {
        let is_here = |number: u32| {
            let start = number as usize * ENTRY_BYTES;
            self.places(start..start + ENTRY_BYTES).all(|place| self.is_known(place))
        };
        let (mut first, mut last) = (around, around);
        while first > self.search.low && is_here(first - 1) {
            first -= 1;
        }
        while last + 1 < self.search.high && is_here(last + 1) {
            last += 1;
        }
        (first, last)
    }

    /// The blocks that a range of the body lies in.
    fn places(&self, range: Range<usize>) -> impl Iterator<Item = (u8, u32)> + use<> {
        let shape = self.header.shape;
        let blocks = range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
        blocks.map(move |block| shape.place(block * BLOCK_BYTES))
    }

    /// Whether a block is here, or can be decoded from what is.
    fn is_known(&self, (fragment, row): (u8, u32)) -> bool {
        self.blocks.contains_key(&(fragment, row))
            || self.count_of_row(row) >= usize::from(self.header.shape.needed())
    }

    fn count_of_row(&self, row: u32) -> usize {
        let all = 0..self.header.shape.fragments();
        all.filter(|fragment| self.blocks.contains_key(&(*fragment, row))).count()
    }

    /// The blocks of a row that are here.
    fn of_row(&self, row: u32) -> BTreeMap<u8, Vec<u8>> {
        let all = 0..self.header.shape.fragments();
        all.filter_map(|fragment| Some((fragment, self.blocks.get(&(fragment, row))?.clone())))
            .collect()
    }

    fn can_be_had(&self, fragment: u8) -> bool {
        self.keys.contains_key(&fragment) && !self.lost.contains(&fragment)
    }

    /// What is to be fetched for a range of the body; nothing where it is all known.
    fn wants(&self, range: Range<usize>) -> Result<Vec<Want>, ReadError> {
        let shape = self.header.shape;
        let mut blocks = BTreeSet::new();
        for place @ (fragment, row) in self.places(range) {
            if self.is_known(place) {
                continue;
            }
            if self.can_be_had(fragment) {
                blocks.insert(place);
                continue;
            }
            let known = self.count_of_row(row);
            let is_known = |other: u8| self.blocks.contains_key(&(other, row));
            let others =
                (0..shape.fragments()).filter(|other| !is_known(*other) && self.can_be_had(*other));
            let missing = usize::from(shape.needed()).saturating_sub(known);
            let chosen: Vec<u8> = others.take(missing).collect();
            if chosen.len() < missing {
                let (needed, found) = (shape.needed(), (known + chosen.len()) as u8);
                return Err(ReadError::Unreadable { fragment, row, needed, found });
            }
            blocks.extend(chosen.into_iter().map(|other| (other, row)));
        }
        let mut wants: Vec<Want> = Vec::new();
        for (fragment, row) in blocks {
            match wants.last_mut() {
                Some(last) if last.fragment == fragment && last.rows.end == row => {
                    last.rows.end = row + 1;
                }
                _ => wants.push(Want { fragment, rows: row..row + 1 }),
            }
        }
        Ok(wants)
    }

    /// The bytes of a range of the body whose blocks are all known.
    fn bytes(&self, range: Range<usize>) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::with_capacity(range.len() + BLOCK_BYTES);
        for (fragment, row) in self.places(range.clone()) {
            match self.blocks.get(&(fragment, row)) {
                Some(block) => bytes.extend_from_slice(block),
                None => {
                    let known = self.of_row(row);
                    let block = restore_rows(&*self.code, self.header.shape, &known, fragment)?;
                    bytes.extend_from_slice(&block);
                }
            }
        }
        let start = range.start % BLOCK_BYTES;
        Ok(bytes.get(start..start + range.len()).unwrap_or_default().to_vec())
    }
}

/// The first eight bytes of a digest as a number.
fn leading(cid: &ContentId) -> u64 {
    cid.digest().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
