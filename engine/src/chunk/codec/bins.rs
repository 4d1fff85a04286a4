//! Bins: a range of numbers cut into intervals of equal code length, and how they are written.
//!
//! The range `0..2^k` is a binary tree: an interval is either one bin or two halves. The best
//! tree is found from the bottom up, since the cost of a bin, `count x (log2(total / count) +
//! width in bits)` plus its entry in the head, does not depend on the other bins. (The bins of
//! pcodec are of the same use; dyadic ones need no lower bounds in the head.)

use std::sync::LazyLock;

use super::CodecError;
use super::bits::{BitReader, BitWriter, unzigzag, zigzag};

/// Bits that a bin with and without numbers costs in the head, as the search assumes.
const USED_BIN_BITS: f32 = 6.0;
const EMPTY_BIN_BITS: f32 = 4.0;
/// The depth of the tree that is searched with a histogram.
const HISTOGRAM_BITS: u32 = 12;
/// The most bins a head may have, empty ones included.
const BINS_MAX: usize = 1 << 13;
/// The most bins that hold numbers: each needs a cell of the coder's table.
const USED_BINS_MAX: usize = 1 << 11;
const RANK_BITS: u32 = 7;
const UNARY_MAX: u64 = 6;

/// Numbers `lower..lower + 2^width_bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bin {
    pub(super) lower: u64,
    pub(super) width_bits: u32,
    /// How many numbers fall into it, about: see [`rank`].
    pub(super) count: u64,
}

/// How many bits the numbers up to `max` have.
pub(super) const fn bit_length(max: u64) -> u32 {
    64 - max.leading_zeros()
}

/// Cuts the range of numbers, the greatest of which is `max`; `None` where too many bins would
/// be needed.
pub(super) fn choose(numbers: &[u64], max: u64) -> Option<Vec<Bin>> {
    let range_bits = bit_length(max);
    let mut bins = Vec::new();
    let shift = range_bits.saturating_sub(HISTOGRAM_BITS);
    let mut histogram = vec![0_u32; 1 << (range_bits - shift)];
    numbers.iter().for_each(|number| histogram[(number >> shift) as usize] += 1);
    let crowded = histogram.iter().max().copied().unwrap_or(0) as usize > numbers.len() / 64;
    if shift > 0 && crowded {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        let mut search = Search { total: numbers.len(), few: (numbers.len() >> 9).clamp(2, 16) };
        search.cut(&sorted, 0, range_bits, &mut bins);
        while !fit(&bins) && search.few < numbers.len() {
            search.few *= 4;
            bins.clear();
            search.cut(&sorted, 0, range_bits, &mut bins);
        }
    } else {
        cut_histogram(&histogram, shift, numbers.len(), &mut bins);
    }
    bins.iter_mut().for_each(|bin| bin.count = count_of_rank(rank(bin.count)));
    fit(&bins).then_some(bins)
}

/// Whether there are not too many bins.
fn fit(bins: &[Bin]) -> bool {
    let used = bins.iter().filter(|bin| bin.count > 0).count();
    used <= USED_BINS_MAX && bins.len() <= BINS_MAX
}

fn leaf_bits(count: usize, total: usize, width_bits: u32) -> f32 {
    if count == 0 {
        return EMPTY_BIN_BITS;
    }
    let code_bits = log2(total) - log2(count);
    count as f32 * (code_bits + width_bits as f32) + USED_BIN_BITS
}

fn log2(number: usize) -> f32 {
    static TABLE: LazyLock<Vec<f32>> =
        LazyLock::new(|| (0..8192_u16).map(|number| f32::from(number.max(1)).log2()).collect());
    TABLE.get(number).copied().unwrap_or_else(|| (number as f32).log2())
}

/// The tree over a histogram whose buckets are `2^shift` wide.
fn cut_histogram(histogram: &[u32], shift: u32, total: usize, bins: &mut Vec<Bin>) {
    // Heap order: node 1 is the root, nodes 2i and 2i + 1 are the halves of node i.
    let leaves = histogram.len();
    let mut counts = vec![0_u32; leaves * 2];
    counts[leaves..].copy_from_slice(histogram);
    let mut costs = vec![0_f32; leaves * 2];
    let mut halved = vec![false; leaves * 2];
    for node in (1..leaves * 2).rev() {
        let width_bits = shift + leaves.ilog2() - node.ilog2();
        if node < leaves {
            counts[node] = counts[node * 2] + counts[node * 2 + 1];
        }
        let mut cost = leaf_bits(counts[node] as usize, total, width_bits);
        if node < leaves && counts[node] > 0 {
            let halves = costs[node * 2] + costs[node * 2 + 1] + 1.0;
            halved[node] = halves < cost;
            cost = cost.min(halves);
        }
        costs[node] = cost;
    }
    let mut stack = vec![1];
    while let Some(node) = stack.pop() {
        if halved[node] {
            stack.extend([node * 2 + 1, node * 2]);
            continue;
        }
        let depth = node.ilog2();
        let width_bits = shift + leaves.ilog2() - depth;
        let position = (node - (1 << depth)) as u64;
        let lower = position.checked_shl(width_bits).unwrap_or(0);
        bins.push(Bin { lower, width_bits, count: u64::from(counts[node]) });
    }
}

/// The tree over sorted numbers, for ranges whose numbers crowd into narrow parts.
struct Search {
    total: usize,
    /// Bins with so few numbers are not cut further.
    few: usize,
}

impl Search {
    /// Appends the best bins of an interval and returns their cost.
    fn cut(&self, sorted: &[u64], lower: u64, width_bits: u32, bins: &mut Vec<Bin>) -> f32 {
        let cost = leaf_bits(sorted.len(), self.total, width_bits);
        let leaf = Bin { lower, width_bits, count: sorted.len() as u64 };
        if width_bits == 0 || sorted.len() <= self.few {
            bins.push(leaf);
            return cost;
        }
        let before = bins.len();
        let middle = lower + (1 << (width_bits - 1));
        let at = sorted.partition_point(|number| *number < middle);
        let halves = 1.0
            + self.cut(&sorted[..at], lower, width_bits - 1, bins)
            + self.cut(&sorted[at..], middle, width_bits - 1, bins);
        if halves < cost {
            return halves;
        }
        bins.truncate(before);
        bins.push(leaf);
        cost
    }
}

/// The rank of a count on a scale with four steps to the doubling; counts below 8 are exact.
pub(super) const fn rank(count: u64) -> u32 {
    if count < 4 {
        return count as u32;
    }
    let exponent = count.ilog2() - 2;
    let half = if exponent == 0 { 0 } else { 1 << (exponent - 1) };
    let rounded = count + half;
    let exponent = rounded.ilog2() - 2;
    4 * exponent + (rounded >> exponent) as u32
}

/// The count that a rank stands for.
pub(super) const fn count_of_rank(rank: u32) -> u64 {
    if rank < 4 { rank as u64 } else { (4 + rank as u64 % 4) << (rank / 4 - 1) }
}

/// Predicts the rank of the next bin: the same density as the bin before.
struct RankGuess {
    rank: i64,
    width_bits: Option<u32>,
}

impl RankGuess {
    const START: Self = Self { rank: 2, width_bits: None };

    fn next(&self, width_bits: u32) -> i64 {
        let before = self.width_bits.unwrap_or(width_bits);
        (self.rank + 4 * (i64::from(width_bits) - i64::from(before))).clamp(0, 127)
    }

    fn learn(&mut self, rank: u32, width_bits: u32) {
        if rank > 0 {
            *self = Self { rank: i64::from(rank), width_bits: Some(width_bits) };
        }
    }
}

/// Writes the tree in preorder: a bit for "halved" above width 1, and a rank for each bin.
pub(super) fn write(bins: &[Bin], range_bits: u32, writer: &mut BitWriter<'_>) {
    writer.write(u64::from(range_bits), 7);
    let mut guess = RankGuess::START;
    let mut stack = vec![range_bits];
    let mut bins = bins.iter();
    let mut next = bins.next();
    while let (Some(width_bits), Some(bin)) = (stack.pop(), next) {
        let halved = bin.width_bits < width_bits;
        if width_bits > 0 {
            writer.write(u64::from(halved), 1);
        }
        if halved {
            stack.extend([width_bits - 1; 2]);
            continue;
        }
        let rank = rank(bin.count);
        let code = zigzag(i64::from(rank) - guess.next(width_bits));
        let unary = (code >> 2).min(UNARY_MAX);
        if unary == UNARY_MAX {
            writer.write(super::bits::mask(UNARY_MAX as u32), UNARY_MAX as u32);
            writer.write(u64::from(rank), RANK_BITS);
        } else {
            let ones = (1 << unary) - 1;
            writer.write(ones | (code & 3) << (unary + 1), unary as u32 + 3);
        }
        guess.learn(rank, width_bits);
        next = bins.next();
    }
}

/// Reads what [`write`] wrote; empty bins are left out.
pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Vec<Bin>, CodecError> {
    let range_bits = reader.read(7)? as u32;
    if range_bits > 64 {
        return Err(CodecError::Damaged("a range has more than 64 bits"));
    }
    let mut bins = Vec::new();
    let mut guess = RankGuess::START;
    let mut stack = vec![(0_u64, range_bits)];
    let mut leaves = 0;
    while let Some((lower, width_bits)) = stack.pop() {
        if width_bits > 0 && reader.read(1)? == 1 {
            let middle = lower | 1 << (width_bits - 1);
            stack.extend([(middle, width_bits - 1), (lower, width_bits - 1)]);
            continue;
        }
        leaves += 1;
        let rank = read_rank(reader, guess.next(width_bits))?;
        guess.learn(rank, width_bits);
        if rank > 0 {
            bins.push(Bin { lower, width_bits, count: count_of_rank(rank) });
        }
        if leaves > BINS_MAX {
            return Err(CodecError::Damaged("there are too many bins"));
        }
    }
    Ok(bins)
}

fn read_rank(reader: &mut BitReader<'_>, guess: i64) -> Result<u32, CodecError> {
    let mut unary = 0;
    while unary < UNARY_MAX && reader.read(1)? == 1 {
        unary += 1;
    }
    if unary == UNARY_MAX {
        return Ok(reader.read(RANK_BITS)? as u32);
    }
    let rank = guess + unzigzag(unary << 2 | reader.read(2)?);
    u32::try_from(rank)
        .ok()
        .filter(|rank| *rank < 1 << RANK_BITS)
        .ok_or(CodecError::Damaged("a bin's weight is out of range"))
}
