//! Places in a key tree, and the fewest that cover a range of windows.

use std::ops::RangeInclusive;

/// The height of the root: a tree has a leaf for each of the 2^64 window numbers.
const HEIGHT: u8 = 64;

/// A node of a key tree by where it is: the windows below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The leftmost leaf, as a position: the window's number with its sign bit turned, so that
    /// the order of positions is that of windows.
    first: u64,
    /// 0 is a leaf, 64 the root.
    height: u8,
}

/// The position of a window's leaf.
pub(crate) const fn position(window: i64) -> u64 {
    window.cast_unsigned() ^ (1 << 63)
}

const fn window_at(position: u64) -> i64 {
    (position ^ (1 << 63)).cast_signed()
}

impl Place {
    /// The root of every tree.
    pub(crate) const ROOT: Self = Self { first: 0, height: HEIGHT };

    /// The leaf of a window.
    pub(crate) const fn leaf(window: i64) -> Self {
        Self { first: position(window), height: 0 }
    }

    /// The windows below it.
    pub(crate) fn windows(&self) -> RangeInclusive<i64> {
        window_at(self.first)..=window_at(self.last())
    }

    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// The position of the rightmost leaf.
    pub(crate) const fn last(&self) -> u64 {
        let below = match self.height {
            HEIGHT => u64::MAX,
            height => (1 << height) - 1,
        };
        self.first | below
    }

    pub(crate) const fn contains(&self, other: &Self) -> bool {
        self.first <= other.first && other.last() <= self.last()
    }

    /// The child on the way to a place below it, and whether that is the right one.
    pub(crate) const fn child(&self, below: Self) -> (Self, bool) {
        let height = self.height.saturating_sub(1);
        let is_right = below.first >> height & 1 == 1;
        let first = if is_right { self.first | 1 << height } else { self.first };
        (Self { first, height }, is_right)
    }
}

/// The fewest places that cover the windows from `first` to `last`, in order: none where there is no
/// window, at most max(1, ⌈2·log2 n⌉) for n windows, and never both children of one node.
pub(crate) fn cover(windows: RangeInclusive<i64>) -> Vec<Place> {
    if windows.is_empty() {
        return Vec::new();
    }
    cover_positions(position(*windows.start()), position(*windows.end()))
}

/// As [`cover`], of positions with `first <= last`.
pub(crate) fn cover_positions(first: u64, last: u64) -> Vec<Place> {
    let (mut places, mut at) = (Vec::new(), Some(first));
    while let Some(first) = at.filter(|first| *first <= last) {
        let fitting = match (last - first).checked_add(1) {
            Some(leaves) => leaves.ilog2(),
            None => u32::from(HEIGHT),
        };
        // Both are at most 64.
        let height = first.trailing_zeros().min(fitting) as u8;
        let place = Place { first, height };
        places.push(place);
        at = place.last().checked_add(1);
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// ⌈2·log2 n⌉ for n > 0, without floats: the number of bits of n² - 1.
    fn bound(first: i64, last: i64) -> usize {
        let leaves = u128::from(position(last) - position(first)) + 1;
        let squared = leaves.checked_mul(leaves).map_or(u128::MAX, |squared| squared - 1);
        (u128::BITS - squared.leading_zeros()).max(1) as usize
    }

    /// What a cover must be, whatever it was computed by.
    fn check(first: i64, last: i64) {
        let places = cover(first..=last);
        let mut next = Some(position(first));
        for place in &places {
            assert_eq!(Some(place.first), next, "a gap or an overlap");
            assert!(place.first.trailing_zeros() >= u32::from(place.height), "not a node");
            next = place.last().checked_add(1);
        }
        assert_eq!(places.last().map(Place::last), Some(position(last)));
        assert!(places.len() <= bound(first, last), "{} of {first} to {last}", places.len());
        for pair in places.windows(2) {
            let [left, right] = pair else { unreachable!() };
            let is_parent = left.height == right.height && left.first >> left.height & 1 == 0;
            assert!(!is_parent, "two children in the place of their parent");
        }
    }

    proptest! {
        #[test]
        fn a_range_is_covered_by_the_fewest_nodes(first: i64, span: u64, shift in 0_u32..64) {
            let last = first.saturating_add_unsigned(span >> shift);
            check(first, last);
        }
    }

    #[test]
    fn every_small_range_and_the_ends_of_time_are_covered() {
        for first in -40..40 {
            for last in first..40 {
                check(first, last);
            }
        }
        for edge in [i64::MIN, -1, 0, i64::MAX] {
            for other in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
                check(edge.min(other), edge.max(other));
            }
        }
        assert_eq!(cover(i64::MIN..=i64::MAX), [Place::ROOT]);
        assert_eq!(cover(i64::MIN + 1..=i64::MAX - 1).len(), 126);
        #[expect(clippy::reversed_empty_ranges, reason = "no windows at all")]
        let none = cover(1..=0);
        assert!(none.is_empty());
    }
}
