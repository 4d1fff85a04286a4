//! Entropy coding of numbers: a bin by tabled asymmetric numeral systems, then an offset.
//!
//! tANS (Duda, "Asymmetric numeral systems", arXiv 1311.2540, section 4) with the table layout
//! of zstd's FSE: a state is a cell of a table of `2^table_bits` cells that the bins share by
//! their weights. Four interleaved states hide the latency of the table; the number's offset in
//! its bin follows the state's bits in the same stream, so that one load serves both.

use super::CodecError;
use super::bins::{self, Bin};
use super::bits::{BitReader, BitWriter, mask, peek};

const LANES: usize = 4;
/// Greatest and least size of the table; a single bin needs no table.
const TABLE_BITS_MAX: u32 = 11;
const TABLE_BITS_MIN: u32 = 5;
/// The widest state code and offset that one load is sure to hold.
const NARROW_BITS: u32 = 57;

/// Appends the numbers, the greatest of which is `max`; `false`, and nothing is appended, where
/// they are too wild for bins.
#[must_use]
pub(super) fn encode(numbers: &[u64], max: u64, out: &mut Vec<u8>) -> bool {
    let Some(mut used) = bins::choose(numbers, max) else { return false };
    let mut writer = BitWriter::new(out);
    bins::write(&used, bins::bit_length(max), &mut writer);
    used.retain(|bin| bin.count > 0);
    let table_bits = table_bits_for(numbers.len(), used.len());
    writer.write(u64::from(table_bits), 4);
    let weights = weigh(&used, table_bits);
    let (codes, states) = encode_bins(numbers, max, &used, &weights, table_bits);
    for state in states {
        writer.write(state, table_bits);
    }
    for (number, code) in numbers.iter().zip(codes) {
        let bin = used[usize::from(code.bin)];
        let state_bits = u32::from(code.state_bits);
        let offset = number - bin.lower;
        if state_bits + bin.width_bits <= 64 {
            let bits = u64::from(code.bits) | offset.checked_shl(state_bits).unwrap_or(0);
            writer.write(bits, state_bits + bin.width_bits);
        } else {
            writer.write(u64::from(code.bits), state_bits);
            writer.write(offset, bin.width_bits);
        }
    }
    writer.finish();
    true
}

fn table_bits_for(count: usize, bins: usize) -> u32 {
    if bins <= 1 {
        return 0;
    }
    // A finer table codes closer to the entropy and costs time to build.
    let by_count = count.max(2).ilog2().saturating_sub(2).min(11);
    let by_bins = (bins * 4).ilog2() + 1;
    by_count.max(by_bins).clamp(TABLE_BITS_MIN, TABLE_BITS_MAX)
}

/// Shares `2^table_bits` cells between the bins, at least one each.
fn weigh(bins: &[Bin], table_bits: u32) -> Vec<u32> {
    let total: u64 = bins.iter().map(|bin| bin.count).sum();
    let (mut sum, mut cells_before, mut excess) = (0_u64, 0_u64, 0_u32);
    let mut weights: Vec<u32> = Vec::with_capacity(bins.len());
    for bin in bins {
        sum += bin.count;
        let cells = ((u128::from(sum) << table_bits) + u128::from(total / 2)) / u128::from(total);
        let weight = (cells as u64 - cells_before) as u32;
        cells_before = cells as u64;
        excess += u32::from(weight == 0);
        weights.push(weight.max(1));
    }
    while excess > 0 {
        let Some(most) = weights.iter_mut().max() else { break };
        let taken = excess.min((*most / 8).max(1));
        *most -= taken;
        excess -= taken;
    }
    weights
}

/// The bin of each cell; a bin's cells are spread evenly.
fn spread(weights: &[u32], table_bits: u32) -> Vec<u16> {
    let size = 1_usize << table_bits;
    let step = (size >> 1) + (size >> 3) + 3;
    let mut cells = vec![0_u16; size];
    let mut at = 0;
    for (bin, weight) in weights.iter().enumerate() {
        for _ in 0..*weight {
            cells[at] = bin as u16;
            at = (at + step) & (size - 1);
        }
    }
    cells
}

/// What a number's bin adds to the stream: the low bits of the state.
#[derive(Clone, Copy, Default)]
struct Code {
    bin: u16,
    bits: u16,
    state_bits: u8,
}

/// Codes the bins from the last number to the first, and returns the states to start with.
fn encode_bins(
    numbers: &[u64],
    max: u64,
    bins: &[Bin],
    weights: &[u32],
    table_bits: u32,
) -> (Vec<Code>, [u64; LANES]) {
    let size = 1_u32 << table_bits;
    let mut next: Vec<u32> = Vec::with_capacity(weights.len());
    let mut before = 0;
    for weight in weights {
        next.push(before);
        before += weight;
    }
    let first_cells = next.clone();
    let mut states_after = vec![0_u16; size as usize];
    for (cell, bin) in spread(weights, table_bits).into_iter().enumerate() {
        let at = &mut next[usize::from(bin)];
        states_after[*at as usize] = cell as u16;
        *at += 1;
    }
    // For each bin: its least number of state bits plus one, and the states that need one more.
    let steps: Vec<(u32, u32)> = weights
        .iter()
        .map(|weight| {
            let most = table_bits - weight.ilog2();
            (most, *weight << most)
        })
        .collect();
    let finder = BinFinder::new(bins, max);
    let mut codes = vec![Code::default(); numbers.len()];
    let mut states = [size; LANES];
    for (index, (number, code)) in numbers.iter().zip(&mut codes).enumerate().rev() {
        let bin = finder.find(*number);
        let (most, threshold) = steps[bin];
        let state = &mut states[index % LANES];
        // The state, shifted, must land in weight..2 x weight.
        let state_bits = most - u32::from(*state < threshold);
        *code = Code {
            bin: bin as u16,
            bits: (*state & ((1 << state_bits) - 1)) as u16,
            state_bits: state_bits as u8,
        };
        let cell = first_cells[bin] + (*state >> state_bits) - weights[bin];
        *state = size + u32::from(states_after[cell as usize]);
    }
    (codes, states.map(|state| u64::from(state - size)))
}

/// Finds the bin of a number by its upper bits.
struct BinFinder<'a> {
    bins: &'a [Bin],
    shift: u32,
    first: Vec<u16>,
}

impl<'a> BinFinder<'a> {
    fn new(bins: &'a [Bin], max: u64) -> Self {
        let shift = bins::bit_length(max).saturating_sub(12);
        let mut first = vec![0_u16; (max >> shift) as usize + 1];
        let mut bin = 0;
        for (slot, entry) in first.iter_mut().enumerate() {
            // The last bin that starts at or before the slot's first number.
            while bins.get(bin + 1).is_some_and(|next| next.lower <= (slot as u64) << shift) {
                bin += 1;
            }
            *entry = bin as u16;
        }
        Self { bins, shift, first }
    }

    #[inline]
    fn find(&self, number: u64) -> usize {
        let mut bin = usize::from(self.first[(number >> self.shift) as usize]);
        while self.bins.get(bin + 1).is_some_and(|next| next.lower <= number) {
            bin += 1;
        }
        bin
    }
}

/// A cell of the decoding table for numbers of little more than 32 bits, in one word: lower
/// bound, next state, width of the offset, state bits.
#[derive(Clone, Copy, Default)]
struct NarrowCell(u64);

impl NarrowCell {
    const fn new(lower: u64, next: u32, state_bits: u32, width_bits: u32) -> Self {
        Self(lower << 32 | (next as u64) << 16 | (width_bits as u64) << 8 | state_bits as u64)
    }

    /// Reads a number from the low bits of a word: the number, its length in bits, the state.
    #[inline(always)]
    fn read(self, word: u64) -> (u64, u64, usize) {
        let (state_bits, width_bits) = (self.0 & 63, self.0 >> 8 & 63);
        let state = (self.0 >> 16 & 0xFFFF) + (word & MASKS[state_bits as usize]);
        let number = (self.0 >> 32) + (word >> state_bits & MASKS[width_bits as usize]);
        (number, state_bits + width_bits, state as usize)
    }
}

/// Masks by their number of bits: a load is cheaper than a shift by a variable.
const MASKS: [u64; 64] = {
    let mut masks = [0; 64];
    let mut bits = 0;
    while bits < 64 {
        masks[bits] = mask(bits as u32);
        bits += 1;
    }
    masks
};

#[derive(Clone, Copy)]
struct WideCell {
    lower: u64,
    next: u16,
    state_bits: u8,
    width_bits: u8,
}

/// Of the greatest size whatever the head says, so that no state is out of range.
type NarrowTable = [NarrowCell; 1 << TABLE_BITS_MAX];

enum Table {
    /// With the number of lanes that one load is sure to serve.
    Narrow(Box<NarrowTable>, usize),
    Wide(Vec<WideCell>),
}

/// Reads numbers in blocks.
pub(super) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    states: [usize; LANES],
    table: Table,
}

impl<'a> Decoder<'a> {
    /// Reads the head of what [`encode`] wrote; `bytes` must end where it ended.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut reader = BitReader::new(bytes);
        let bins = bins::read(&mut reader)?;
        let table_bits = reader.read(4)? as u32;
        let fits = match bins.len() {
            0 => false,
            1 => table_bits == 0,
            bins => {
                (TABLE_BITS_MIN..=TABLE_BITS_MAX).contains(&table_bits) && bins <= 1 << table_bits
            }
        };
        if !fits {
            return Err(CodecError::Damaged("the number of bins does not fit the table"));
        }
        let mut states = [0; LANES];
        for state in &mut states {
            *state = reader.read(table_bits)? as usize;
        }
        Ok(Self { bytes, at: reader.at(), states, table: build(&bins, table_bits) })
    }

    /// Fills a block; all blocks but the last must be a multiple of four long.
    pub(super) fn fill(&mut self, block: &mut [u64]) -> Result<(), CodecError> {
        let (bytes, at, states) = (self.bytes, &mut self.at, &mut self.states);
        match &self.table {
            Table::Narrow(table, 4..) => fill_narrow::<4>(table, bytes, at, states, block),
            Table::Narrow(table, 2..) => fill_narrow::<2>(table, bytes, at, states, block),
            Table::Narrow(table, _) => fill_narrow::<1>(table, bytes, at, states, block),
            Table::Wide(table) => fill_wide(table, bytes, at, states, block),
        }
        if self.at > self.bytes.len() * 8 { Err(CodecError::Truncated) } else { Ok(()) }
    }

    /// Checks that the stream ends here: each state is back where the encoder began.
    pub(super) fn finish(&self) -> Result<(), CodecError> {
        if self.at.div_ceil(8) != self.bytes.len() {
            return Err(CodecError::Trailing);
        }
        if self.states != [0; LANES] {
            return Err(CodecError::Damaged("the entropy coder does not end where it began"));
        }
        Ok(())
    }
}

fn build(bins: &[Bin], table_bits: u32) -> Table {
    let weights = weigh(bins, table_bits);
    let size = 1_u32 << table_bits;
    let mut next = weights.clone();
    let mut cells = spread(&weights, table_bits).into_iter().map(|bin_index| {
        let bin = bins[usize::from(bin_index)];
        let state = &mut next[usize::from(bin_index)];
        let state_bits = table_bits - state.ilog2();
        let base = (*state << state_bits) - size;
        *state += 1;
        (bin, base, state_bits)
    });
    let widest = bins.iter().map(|bin| bin.width_bits).max().unwrap_or(0);
    let least = weights.iter().min().copied().unwrap_or(1).max(1);
    let longest = widest + table_bits - least.ilog2();
    if bins.iter().any(|bin| bin.lower >> 32 != 0) || longest > NARROW_BITS {
        let cells = cells.map(|(bin, base, state_bits)| WideCell {
            lower: bin.lower,
            next: base as u16,
            state_bits: state_bits as u8,
            width_bits: bin.width_bits as u8,
        });
        return Table::Wide(cells.collect());
    }
    let mut table = Box::new([NarrowCell::default(); 1 << TABLE_BITS_MAX]);
    for (slot, (bin, base, state_bits)) in table.iter_mut().zip(&mut cells) {
        *slot = NarrowCell::new(bin.lower, base, state_bits, bin.width_bits);
    }
    Table::Narrow(table, (NARROW_BITS / longest.max(1)) as usize)
}

/// Bytes that four numbers may reach into: 4 x 57 bits, and a load of 8 bytes at their end.
const WINDOW: usize = 40;

/// `SHARED` numbers in a row are sure to lie in the 57 bits of one load.
fn fill_narrow<const SHARED: usize>(
    table: &NarrowTable,
    bytes: &[u8],
    at: &mut usize,
    states: &mut [usize; LANES],
    block: &mut [u64],
) {
    const LAST: usize = (1 << TABLE_BITS_MAX) - 1;
    let (mut position, [mut a, mut b, mut c, mut d]) = (*at, *states);
    let (quads, rest) = block.as_chunks_mut::<LANES>();
    for quad in quads {
        let window = bytes.get(position / 8..).unwrap_or_default();
        let padded;
        let window: &[u8; WINDOW] = match window.first_chunk() {
            Some(window) => window,
            None => {
                padded = pad(window);
                &padded
            }
        };
        let start = position % 8;
        let mut within = start as u64;
        let mut word = 0;
        let mut step = |lane: usize, state: &mut usize| {
            if lane.is_multiple_of(SHARED) {
                let byte = (within / 8) as usize & 31;
                let bytes =
                    window[byte..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
                word = bytes >> (within % 8);
            }
            let (number, length, next) = table[*state & LAST].read(word);
            word >>= length & 63;
            within += length;
            *state = next;
            number
        };
        *quad = [step(0, &mut a), step(1, &mut b), step(2, &mut c), step(3, &mut d)];
        position += within as usize - start;
    }
    *states = [a, b, c, d];
    for (number, state) in rest.iter_mut().zip(states) {
        let (value, length, next) = table[*state & LAST].read(peek(bytes, position));
        *number = value;
        *state = next;
        position += length as usize;
    }
    *at = position;
}

#[cold]
fn pad(bytes: &[u8]) -> [u8; WINDOW] {
    let mut padded = [0; WINDOW];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    padded
}

fn fill_wide(
    table: &[WideCell],
    bytes: &[u8],
    at: &mut usize,
    states: &mut [usize; LANES],
    block: &mut [u64],
) {
    let none = WideCell { lower: 0, next: 0, state_bits: 0, width_bits: 0 };
    let mut position = *at;
    let mut read = |count: u32| {
        let low_count = count.min(32);
        let low = peek(bytes, position) & mask(low_count);
        position += low_count as usize;
        let high_count = count - low_count;
        let high = peek(bytes, position) & mask(high_count);
        position += high_count as usize;
        low | high.checked_shl(low_count).unwrap_or(0)
    };
    for (index, number) in block.iter_mut().enumerate() {
        let state = &mut states[index % LANES];
        let cell = table.get(*state).copied().unwrap_or(none);
        *state = usize::from(cell.next) + read(u32::from(cell.state_bits)) as usize;
        *number = cell.lower.wrapping_add(read(u32::from(cell.width_bits)));
    }
    *at = position;
}
