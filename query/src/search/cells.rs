//! Spans of time as a few terms, so that two open ranges cost as much as text.
//!
//! Time is cut into cells of 1, 32 and 1,024 days. A span is covered by the cells of the finest
//! size of which it needs no more than 32. It is indexed under its cover and, marked apart, under
//! the larger cells around it. Two spans that meet have covers of which one holds a cell of the
//! other or the same: so a query asks for its own cover (spans as fine or finer), and for the
//! larger cells as covers (coarser spans). The idea is that of region covers in S2 (Google, 2011).
//! Whether spans really meet is checked on their exact times afterwards.

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;
/// How many bits of the day's number the cells of each size leave out.
const SHIFTS: [u32; 3] = [0, 5, 10];
/// The most cells that cover a span.
const COVER_MAX: i64 = 32;
/// Days before 1970 are made positive by this: a multiple of the largest cell.
const DAY_OFFSET: i64 = 1 << 20;

/// The term of a cell.
const fn term(size: usize, cell: i64, is_cover: bool) -> u64 {
    (cell as u64) << 3 | (size as u64) << 1 | is_cover as u64
}

/// The cells that cover a span, and their size; `None` where it is too long for any.
fn cover(first_ns: i64, last_ns: i64) -> Option<(usize, std::ops::RangeInclusive<i64>)> {
    let day = |time_ns: i64| time_ns.div_euclid(DAY_NS) + DAY_OFFSET;
    SHIFTS.iter().enumerate().find_map(|(size, shift)| {
        let (first, last) = (day(first_ns) >> shift, day(last_ns) >> shift);
        (last - first < COVER_MAX).then_some((size, first..=last))
    })
}

/// The larger cells around cells of a size.
fn around(size: usize, cells: &std::ops::RangeInclusive<i64>, mut put: impl FnMut(usize, i64)) {
    for (larger, shift) in SHIFTS.iter().enumerate().skip(size + 1) {
        let shift = shift - SHIFTS[size];
        (*cells.start() >> shift..=*cells.end() >> shift).for_each(|cell| put(larger, cell));
    }
}

/// The term of spans that are too long for cells.
const EVERYWHERE: u64 = u64::MAX;

/// The terms that a span is indexed under.
pub(super) fn terms_of_span(first_ns: i64, last_ns: i64, terms: &mut Vec<u64>) {
    terms.clear();
    let Some((size, cells)) = cover(first_ns, last_ns) else { return terms.push(EVERYWHERE) };
    around(size, &cells, |larger, cell| terms.push(term(larger, cell, false)));
    terms.extend(cells.map(|cell| term(size, cell, true)));
}

/// The terms of which every span that meets a range has one; `None` where that may be all.
pub(super) fn terms_of_range(first_ns: i64, last_ns: i64) -> Option<Vec<u64>> {
    let (size, cells) = cover(first_ns, last_ns)?;
    let mut terms = vec![EVERYWHERE];
    around(size, &cells, |larger, cell| terms.push(term(larger, cell, true)));
    for cell in cells {
        terms.extend([term(size, cell, false), term(size, cell, true)]);
    }
    Some(terms)
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

    #[test]
    fn spans_far_apart_share_no_term() {
        let mut terms = Vec::new();
        terms_of_span(0, DAY_NS / 24, &mut terms);
        assert_eq!(terms.len(), 3);
        let month = terms_of_range(40 * DAY_NS, 70 * DAY_NS).unwrap_or_default();
        assert!(!month.is_empty() && terms.iter().all(|term| !month.contains(term)));
    }
}
