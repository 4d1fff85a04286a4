//! Spans of time and of degrees as a few terms, so that open ranges and boxes cost as much as text.
//!
//! A line is cut into cells of three sizes: time into cells of 1, 32 and 1,024 days, degrees into
//! cells of 1/16, 1 and 16. A span is covered by the cells of the finest size of which it needs no
//! more than a few. It is indexed under its cover and, marked apart, under the larger cells around it.
//! Two spans that meet have covers of which one holds a cell of the other or the same: so a query asks
//! for its own cover (spans as fine or finer), and for the larger cells as covers (coarser spans). The
//! idea is that of region covers in S2 (Google, 2011). Whether spans really meet is checked on their
//! exact ends afterwards.

use std::ops::RangeInclusive;

use super::document::{Axis, GeoBox};

/// How a line is cut into cells.
struct Line {
    /// How many bits of a place's number the cells of each size leave out.
    shifts: [u32; 3],
    /// The most cells that cover a span.
    cover_max: i64,
    /// The most of the largest cells that cover a range that is asked for. It may be more than a span
    /// has: each costs looking up two terms once, and not a place in the index for every span.
    range_max: i64,
}

/// Days.
const TIME: Line = Line { shifts: [0, 5, 10], cover_max: 32, range_max: 32 };
/// Sixteenths of a degree. An hour's drive is in one or two cells, and all longitudes are in 23 of the
/// largest.
const DEGREES: Line = Line { shifts: [0, 4, 8], cover_max: 8, range_max: 24 };

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;
/// Places before zero are made positive by this: a multiple of the largest cells.
const OFFSET: i64 = 1 << 20;
/// No box reaches beyond; what is found there all the same is indexed as everywhere.
const DEGREES_MAX: f64 = 180.0;
/// The term of spans that are too long for cells.
const EVERYWHERE: u64 = u64::MAX;

/// The term of a cell.
const fn term(size: usize, cell: i64, is_cover: bool) -> u64 {
    (cell as u64) << 3 | (size as u64) << 1 | is_cover as u64
}

/// Cells of one size.
struct Cover {
    size: usize,
    cells: RangeInclusive<i64>,
}

impl Line {
    /// The cells that cover a span, of the largest no more than so many; `None` where it is too long.
    fn cover(&self, first: i64, last: i64, largest_max: i64) -> Option<Cover> {
        self.shifts.iter().enumerate().find_map(|(size, shift)| {
            let (first, last) = ((first + OFFSET) >> shift, (last + OFFSET) >> shift);
            let most = if size + 1 < self.shifts.len() { self.cover_max } else { largest_max };
            (last - first < most).then_some(Cover { size, cells: first..=last })
        })
    }

    /// The larger cells around a cover.
    fn around(&self, Cover { size, cells }: &Cover, mut put: impl FnMut(usize, i64)) {
        for (larger, shift) in self.shifts.iter().enumerate().skip(size + 1) {
            let shift = shift - self.shifts[*size];
            (*cells.start() >> shift..=*cells.end() >> shift).for_each(|cell| put(larger, cell));
        }
    }

    /// Adds the terms that a span is indexed under.
    fn put_span(&self, first: i64, last: i64, mut put: impl FnMut(u64)) {
        let cover = self.cover(first, last, self.cover_max);
        let Some(cover) = cover else { return put(EVERYWHERE) };
        self.around(&cover, |larger, cell| put(term(larger, cell, false)));
        cover.cells.for_each(|cell| put(term(cover.size, cell, true)));
    }

    /// The terms of which every span that meets a range has one; `None` where that may be all.
    fn terms_of_range(&self, first: i64, last: i64) -> Option<Vec<u64>> {
        let cover = self.cover(first, last, self.range_max)?;
        let mut terms = vec![EVERYWHERE];
        self.around(&cover, |larger, cell| terms.push(term(larger, cell, true)));
        for cell in cover.cells {
            terms.extend([term(cover.size, cell, false), term(cover.size, cell, true)]);
        }
        Some(terms)
    }
}

/// The day of a time.
const fn day(time_ns: i64) -> i64 {
    time_ns.div_euclid(DAY_NS)
}

/// The terms that a span of time is indexed under.
pub(super) fn terms_of_span(first_ns: i64, last_ns: i64, terms: &mut Vec<u64>) {
    terms.clear();
    TIME.put_span(day(first_ns), day(last_ns), |term| terms.push(term));
}

/// The terms of which every span that meets a range of time has one; `None` where that may be all.
pub(super) fn terms_of_range(first_ns: i64, last_ns: i64) -> Option<Vec<u64>> {
    TIME.terms_of_range(day(first_ns), day(last_ns))
}

/// The place of a coordinate on its line.
fn sixteenth(degrees: f64) -> i64 {
    (degrees * 16.0).floor() as i64
}

/// Tells the terms of the two axes apart.
const fn of_axis(axis: Axis, term: u64) -> u64 {
    term << 1 | matches!(axis, Axis::Longitude) as u64
}

/// The terms that the least and the greatest value of a chunk of coordinates are indexed under.
pub(super) fn terms_of_bounds(axis: Axis, (low, high): (f64, f64), terms: &mut Vec<u64>) {
    terms.clear();
    if low.is_nan() || high.is_nan() {
        // No box meets them.
        return;
    }
    match -DEGREES_MAX <= low && low <= high && high <= DEGREES_MAX {
        true => DEGREES
            .put_span(sixteenth(low), sixteenth(high), |term| terms.push(of_axis(axis, term))),
        false => terms.push(of_axis(axis, EVERYWHERE)),
    }
}

/// The terms of which the bounds of every chunk that meets a box on an axis has one; `None` where that
/// may be all.
pub(super) fn terms_of_box(axis: Axis, geo: GeoBox) -> Option<Vec<u64>> {
    let ranges = match axis {
        Axis::Latitude => vec![(geo.south, geo.north)],
        Axis::Longitude if geo.west <= geo.east => vec![(geo.west, geo.east)],
        Axis::Longitude => vec![(-DEGREES_MAX, geo.east), (geo.west, DEGREES_MAX)],
    };
    let mut terms = Vec::new();
    for (low, high) in ranges {
        terms.extend(DEGREES.terms_of_range(sixteenth(low), sixteenth(high))?);
    }
    terms.sort_unstable();
    terms.dedup();
    Some(terms.into_iter().map(|term| of_axis(axis, term)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            -3 * DAY_NS..3 * DAY_NS,
            (-4000..4000_i64).prop_map(|day| day * DAY_NS),
            Just(i64::MIN),
            Just(i64::MAX)
        ]
    }

    fn span() -> impl Strategy<Value = (i64, i64)> {
        let length = prop_oneof![0..DAY_NS, 0..90 * DAY_NS, 0..9000 * DAY_NS, 0..=i64::MAX];
        (time(), length).prop_map(|(first, length)| (first, first.saturating_add(length)))
    }

    proptest! {
        #[test]
        fn spans_that_meet_share_a_term(span in span(), range in span()) {
            let mut terms = Vec::new();
            terms_of_span(span.0, span.1, &mut terms);
            prop_assert!(terms.len() <= 32 + 2 + 3);
            let meet = span.0 <= range.1 && span.1 >= range.0;
            match terms_of_range(range.0, range.1) {
                Some(wanted) if meet => prop_assert!(terms.iter().any(|term| wanted.contains(term))),
                Some(wanted) => prop_assert!(wanted.len() <= 64 + 2 + 3 + 1),
                None => {}
            }
        }
    }

    fn degrees() -> impl Strategy<Value = f64> {
        prop_oneof![
            -180.0..180.0_f64,
            -400.0..400.0_f64,
            (-180..=180_i32).prop_map(f64::from),
            any::<f64>(),
        ]
    }

    fn geo() -> impl Strategy<Value = GeoBox> {
        // Boxes of all sizes, points and lines, poles, and those across the 180th meridian.
        let corner = (-90.0..=90.0_f64, -180.0..=180.0_f64);
        let size = prop_oneof![Just(0.0), 0.0..1.0_f64, 0.0..180.0_f64];
        let width = prop_oneof![size.clone(), 120.0..360.0_f64, Just(360.0)];
        (corner, size, width).prop_map(|((south, west), height, width)| {
            let (north, east) = ((south + height).min(90.0), west + width);
            let east = if east > 180.0 { east - 360.0 } else { east };
            GeoBox { south, west, north, east }
        })
    }

    proptest! {
        #[test]
        fn bounds_that_meet_a_box_share_a_term(
            low in degrees(),
            reach in prop_oneof![Just(0.0), 0.0..2.0_f64, 0.0..400.0_f64],
            geo in geo(),
        ) {
            let mut terms = Vec::new();
            for axis in [Axis::Latitude, Axis::Longitude] {
                terms_of_bounds(axis, (low, low + reach), &mut terms);
                prop_assert!(terms.len() <= 8 + 2 + 2);
                // Every box has a cover, also the whole globe.
                let wanted = terms_of_box(axis, geo).unwrap_or_default();
                prop_assert!((1..=2 * (2 * 24 + 2) + 1).contains(&wanted.len()), "{axis:?}");
                if geo.meets(axis, low, low + reach) {
                    prop_assert!(terms.iter().any(|term| wanted.contains(term)), "{axis:?}");
                }
            }
        }
    }

    #[test]
    fn a_small_box_is_a_few_terms_and_no_far_place_has_one() {
        let mut terms = Vec::new();
        for (west, east) in [(10.0, 12.0), (179.5, -179.5), (-180.0, -180.0), (180.0, 180.0)] {
            let geo = GeoBox { south: 88.0, west, north: 90.0, east };
            for axis in [Axis::Latitude, Axis::Longitude] {
                let wanted = terms_of_box(axis, geo).unwrap_or_default();
                assert!((1..40).contains(&wanted.len()), "{axis:?}");
                terms_of_bounds(axis, (50.0, 50.4), &mut terms);
                assert!(terms.len() <= 11 && terms.iter().all(|term| !wanted.contains(term)));
            }
        }
    }

    #[test]
    fn a_wide_box_leaves_out_what_is_far_from_it() {
        let mut terms = Vec::new();
        for (west, east, outside) in
            [(40.0, 180.0, 5.0), (100.0, -60.0, 20.0), (-180.0, 60.0, 99.0)]
        {
            let geo = GeoBox { south: -90.0, west, north: 90.0, east };
            let wanted = terms_of_box(Axis::Longitude, geo).unwrap_or_default();
            assert!((1..=100).contains(&wanted.len()));
            terms_of_bounds(Axis::Longitude, (outside, outside + 0.4), &mut terms);
            assert!(terms.iter().all(|term| !wanted.contains(term)), "{west} to {east}");
        }
    }

    #[test]
    fn spans_far_apart_share_no_term() {
        let mut terms = Vec::new();
        terms_of_span(0, DAY_NS / 24, &mut terms);
        assert_eq!(terms.len(), 3);
        let month = terms_of_range(40 * DAY_NS, 70 * DAY_NS).unwrap_or_default();
        assert!(!month.is_empty() && terms.iter().all(|term| !month.contains(term)));
    }
}
