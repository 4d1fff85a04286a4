//! Sliding windows over the samples of one series.
//!
//! Windows rise at both ends. What can be joined from parts is kept as two stacks (the queue of
//! two stacks, as in "Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time",
//! Tangwongsan, Hirzel, Schneider, DEBS 2017, section 2): each sample enters and leaves once, so
//! that n samples and s windows cost O(n + s). Nothing is ever subtracted, so that nothing drifts
//! and NaN and infinities leave no trace after they left the window.

/// Some of the samples of a series: those with indices from `low` to below `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) low: usize,
    pub(crate) high: usize,
    /// The end that is left out, in nanoseconds.
    pub(crate) start_ns: i64,
    /// The end that is included.
    pub(crate) end_ns: i64,
    /// When it is evaluated.
    pub(crate) time_ns: i64,
}

impl Window {
    pub(crate) const fn len(&self) -> usize {
        self.high - self.low
    }
}

/// What is known of some samples, so that it can be joined with what is known of the next ones.
pub(crate) trait Part: Copy {
    /// Of the earlier samples and the later ones.
    fn join(self, later: Self) -> Self;
}

/// For each window what `part` gives for its samples, joined; `None` for an empty one.
pub(crate) fn slide<P: Part>(
    windows: &[Window],
    mut part: impl FnMut(usize) -> P,
    mut finish: impl FnMut(Option<P>, &Window) -> f64,
) -> Vec<f64> {
    // front[k] is the join of samples middle - 1 - k to middle, back that of middle to high.
    let mut front: Vec<P> = Vec::new();
    let mut back: Option<P> = None;
    let (mut middle, mut high) = (0, 0);
    let mut results = Vec::with_capacity(windows.len());
    for window in windows {
        if window.low >= high {
            front.clear();
            back = None;
            (middle, high) = (window.low, window.low);
        }
        while high < window.high {
            let next = part(high);
            back = Some(back.map_or(next, |joined| joined.join(next)));
            high += 1;
        }
        if window.low >= middle {
            front.clear();
            for index in (window.low..high).rev() {
                let next = part(index);
                front.push(front.last().map_or(next, |joined| next.join(*joined)));
            }
            middle = high;
            back = None;
        }
        front.truncate(middle.saturating_sub(window.low));
        let joined = match (front.last(), back) {
            (Some(front), Some(back)) => Some(front.join(back)),
            (front, back) => front.copied().or(back),
        };
        results.push(finish(joined, window));
    }
    results
}

/// The windows of `range_ns` that end at each of `ends`: start left out, end included.
pub(crate) fn windows(
    times: &[i64],
    ends: impl Iterator<Item = (i64, i64)>,
    range_ns: i64,
) -> Vec<Window> {
    let (mut low, mut high) = (0, 0);
    let mut windows = Vec::with_capacity(ends.size_hint().0);
    for (time_ns, end_ns) in ends {
        let start_ns = end_ns.saturating_sub(range_ns);
        high = first_after(times, high, end_ns);
        low = first_after(times, low, start_ns);
        windows.push(Window { low, high, start_ns, end_ns, time_ns });
    }
    windows
}

/// The first index from `from` on whose time is after `limit_ns`; all before `from` must not be.
/// It doubles its steps, since windows move on by few samples or by many.
pub(crate) fn first_after(times: &[i64], from: usize, limit_ns: i64) -> usize {
    let (mut low, mut step) = (from, 1);
    while times.get(low + step - 1).is_some_and(|time| *time <= limit_ns) {
        low += step;
        step *= 2;
    }
    let high = times.len().min(low + step);
    low + times[low..high].partition_point(|time| *time <= limit_ns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Span(usize, usize);

    impl Part for Span {
        fn join(self, later: Self) -> Self {
            assert_eq!(self.1, later.0, "parts are joined in order and without gaps");
            Self(self.0, later.1)
        }
    }

    proptest! {
        #[test]
        fn every_window_is_joined_of_exactly_its_samples(
            gaps in prop::collection::vec(1_i64..40, 0..200),
            step in 1_i64..60, range in 1_i64..300, start in -100_i64..100,
        ) {
            let times: Vec<i64> = gaps
                .iter()
                .scan(0, |time, gap| { *time += gap; Some(*time) })
                .collect();
            let ends = (0..120).map(|index| (start + index * step, start + index * step));
            let found = windows(&times, ends, range);
            let mut seen = Vec::new();
            slide(&found, |index| Span(index, index + 1), |span, window| {
                seen.push((span, *window));
                0.0
            });
            prop_assert_eq!(seen.len(), found.len());
            for (span, window) in seen {
                let inside = |time: &i64| *time > window.end_ns - range && *time <= window.end_ns;
                prop_assert_eq!(times.iter().filter(|time| inside(time)).count(), window.len());
                prop_assert!(times[window.low..window.high].iter().all(inside));
                let expected = (window.len() > 0).then_some(Span(window.low, window.high));
                prop_assert_eq!(span, expected);
            }
        }
    }

    #[test]
    fn each_sample_is_taken_at_most_twice() {
        let times: Vec<i64> = (0..10_000).collect();
        let ends = (0..10_000).map(|end| (end, end));
        let mut taken = 0_u64;
        let found = windows(&times, ends, 1_000);
        slide(
            &found,
            |index| {
                taken += 1;
                Span(index, index + 1)
            },
            |_, _| 0.0,
        );
        assert!(taken <= 2 * 10_000, "{taken}");
    }
}
